package client

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store/memory"
)

// wantCaught: the text was refused by a check, nothing is on its way, and a file
// that the server cannot deny is in the profile.
func (tn *town) wantCaught(from *Client, to account.Name, check string) *LogError {
	tn.t.Helper()
	_, err := from.Send(tn.ctx, to, "secret")
	failed := wantCheck(tn.t, err, check)
	tn.wantNothingSent(from)
	tn.wantEvidence(failed, check)
	return failed
}

func (tn *town) wantNothingSent(from *Client) {
	tn.t.Helper()
	if rows, err := from.pending(tn.ctx, nil); err != nil || len(rows) != 0 {
		tn.t.Fatalf("%d envelopes wait to be sent, %v", len(rows), err)
	}
	if status, err := from.Status(tn.ctx); err != nil || status.Outbox != 0 {
		tn.t.Fatalf("%d in the outbox, %v", status.Outbox, err)
	}
}

// wantEvidence opens the file as somebody without a profile would.
func (tn *town) wantEvidence(failed *LogError, check string) *kt.Evidence {
	tn.t.Helper()
	text, err := os.ReadFile(failed.Evidence)
	if err != nil {
		tn.t.Fatalf("no evidence: %v", err)
	}
	e, err := kt.ParseEvidence(text)
	if err != nil {
		tn.t.Fatal(err)
	}
	if _, err := e.Verify(); err != nil || e.Check != check {
		tn.t.Fatalf("evidence of %s, want %s: %v", e.Check, check, err)
	}
	return e
}

// ghost is a device that nobody knows, and the statement that adds it to an
// account, signed with the given key in the name of the account's device.
func (tn *town) ghost(of *Client, with *account.SigningKey) []byte {
	tn.t.Helper()
	roster, err := account.ReplayRoster(of.profile.Statements)
	if err != nil {
		tn.t.Fatal(err)
	}
	key, _ := account.GenerateSigningKey(of.entropy.Read)
	device := &account.Device{ID: account.DeviceID{9}, Key: key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: 1}
	author := account.Author{Device: &of.profile.Device, Key: of.key}
	body, err := roster.ProposeBody(author, millis(time.Now()), account.AddDevice{Device: device})
	if err != nil {
		tn.t.Fatal(err)
	}
	sig, err := account.SignBody(with, body, of.entropy.SignReader())
	if err != nil {
		tn.t.Fatal(err)
	}
	added, err := account.SignBody(key, body, of.entropy.SignReader())
	if err != nil {
		tn.t.Fatal(err)
	}
	honest, err := account.SignBody(of.key, body, of.entropy.SignReader())
	if err != nil {
		tn.t.Fatal(err)
	}
	s, err := roster.Assemble(author, body, honest, []account.Signature{*added})
	if err != nil {
		tn.t.Fatal(err)
	}
	raw := s.Marshal()
	at := strings.Index(string(raw), string(honest.Append(nil)))
	return append(append(append([]byte{}, raw[:at]...), sig.Append(nil)...), raw[at+len(sig.Append(nil)):]...)
}

// TestSplitViewMeetsInAMessage: two logs with the same keys, one shown to
// each; the first message between the two tells.
func TestSplitViewMeetsInAMessage(t *testing.T) {
	tn := newTown(t)
	alice, bob := tn.person("alice"), tn.person("bob")
	other := tn.serve(tn.office.store, memory.New())
	tn.liars[bob].shows(other)
	if err := bob.ForgetLog(tn.ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.CheckName(tn.ctx, "alice"); err != nil {
		t.Fatalf("bob sees a log that is consistent in itself: %v", err)
	}
	tn.say(alice, bob, "hello")
	tn.sync(bob)
	tn.wantUnread(bob, "hello")
	if text := strings.Join(tn.notices(bob), "\n"); !strings.Contains(text, "two different key lists") {
		t.Errorf("notices %q", text)
	}
	view, err := bob.Log(tn.ctx)
	if err != nil || view.Alarm == "" {
		t.Fatalf("no alarm: %+v, %v", view, err)
	}
	e := tn.wantEvidence(&LogError{Evidence: view.Alarm}, "V-186")
	verifier, err := note.NewVerifier(e.Policy.LogKeys()[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, signed := range e.Notes {
		if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
			t.Errorf("Go's own code does not open a note: %v", err)
		}
	}
	bob = tn.restart(bob)
	bob.rosters.doubt(alice.profile.Account)
	if _, err := bob.Send(tn.ctx, "alice", "secret"); !errors.Is(err, ErrTransparency) {
		t.Errorf("after the alarm, and a restart: %v", err)
	}
	tn.wantNothingSent(bob)
}

// TestSplitViewLater: who knows one log is not led to the other.
func TestSplitViewLater(t *testing.T) {
	tn := newTown(t)
	alice, bob := tn.person("alice"), tn.person("bob")
	tn.person("carol")
	if _, err := alice.CheckName(tn.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	evil := tn.serve(tn.office.store, memory.New())
	tn.liars[alice].shows(evil)
	_, err := alice.Send(tn.ctx, bob.Name(), "secret")
	if !errors.Is(err, kt.ErrRollback) && !errors.Is(err, kt.ErrFork) {
		t.Fatalf("another log: %v", err)
	}
	tn.wantNothingSent(alice)
}

// TestV185RollbackAfterARestart: an answer of an earlier day is refused, after a restart too.
func TestV185RollbackAfterARestart(t *testing.T) {
	tn := newTown(t)
	alice, bob := tn.person("alice"), tn.person("bob")
	var old *posthornv1.GetAccountResponse
	tn.liars[alice].about("bob", func(m *posthornv1.GetAccountResponse) {
		old = &posthornv1.GetAccountResponse{Name: m.Name, AccountId: m.AccountId, Statements: m.Statements, Proof: m.Proof}
	})
	if _, err := alice.CheckName(tn.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	tn.person("carol")
	tn.liars[alice].honestAgain()
	if _, err := alice.CheckName(tn.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	tn.liars[alice].about("bob", func(m *posthornv1.GetAccountResponse) { m.Proof = old.Proof })
	tn.wantCaught(alice, bob.Name(), "V-185")
	alice = tn.restart(alice)
	_, err := alice.Send(tn.ctx, "bob", "secret")
	wantCheck(t, err, "V-185")
}

// TestLiesInTheProof: each step of the check is lied to once.
func TestLiesInTheProof(t *testing.T) {
	for check, spoil := range map[string]func(*kt.Answer){
		"V-182": func(a *kt.Answer) {
			a.Checkpoint = []byte(strings.Replace(string(a.Checkpoint), "\n\u2014 ", "\n\u2014 x", 1))
		},
		"V-187": func(a *kt.Answer) { a.Root.Updates++ },
		"V-188": func(a *kt.Answer) { a.VRFProof[3] ^= 1 },
		"V-190": func(a *kt.Answer) { a.Present.Version++; a.Present.Before = kt.Value{1} },
	} {
		t.Run(check, func(t *testing.T) {
			tn := newTown(t)
			alice, bob := tn.person("alice"), tn.person("bob")
			tn.liars[alice].answers("bob", spoil)
			if check == "V-182" { // nothing that the log has signed: anybody could have said it
				_, err := alice.Send(tn.ctx, bob.Name(), "secret")
				if failed := wantCheck(t, err, check); failed.Evidence != "" {
					t.Error("evidence of what the log has not signed")
				}
				tn.wantNothingSent(alice)
			} else {
				tn.wantCaught(alice, bob.Name(), check)
			}
			tn.liars[alice].honestAgain()
			tn.say(alice, bob, "hello")
		})
	}
}

// TestDamagedProofIsNoFork: a proof that was damaged on its way does not end all
// look-ups; the server is asked for it once more.
func TestDamagedProofIsNoFork(t *testing.T) {
	tn := newTown(t)
	alice, bob := tn.person("alice"), tn.person("bob")
	damaged := 0
	tn.liars[alice].answers("bob", func(a *kt.Answer) {
		for i := range a.Consistency {
			damaged++
			a.Consistency[i][0] ^= 1
		}
	})
	tn.say(alice, bob, "hello")
	if damaged == 0 {
		t.Fatal("nothing was damaged")
	}
	if view, err := alice.Log(tn.ctx); err != nil || view.Alarm != "" {
		t.Errorf("an alarm over a damaged proof: %+v, %v", view, err)
	}
}

// TestV195ProofWithheld: once a device knows the log, no answer without a proof
// counts, and a name cannot be hidden either.
func TestV195ProofWithheld(t *testing.T) {
	tn := newTown(t)
	alice, bob := tn.person("alice"), tn.person("bob")
	tn.liars[alice].about("bob", func(m *posthornv1.GetAccountResponse) { m.Proof = nil })
	_, err := alice.Send(tn.ctx, bob.Name(), "secret")
	wantCheck(t, err, "V-195")
	tn.liars[alice].about("bob", func(m *posthornv1.GetAccountResponse) { m.Statements = nil })
	tn.wantCaught(alice, bob.Name(), "V-190")
	if _, err := alice.Send(tn.ctx, "nobody", "secret"); !errors.Is(err, ErrUnknownName) {
		t.Errorf("a name that nobody has, proved: %v", err)
	}
}

// TestV194OwnNameGivenAway: the owner's device sees that the log has another
// account under its name.
func TestV194OwnNameGivenAway(t *testing.T) {
	tn := newTown(t)
	alice := tn.person("alice")
	bob := tn.person("bob")
	tn.liars[alice].about("alice", func(m *posthornv1.GetAccountResponse) {
		m.Statements = append(m.Statements, tn.ghost(alice, alice.key))
	})
	err := alice.CheckOwnName(tn.ctx)
	tn.wantEvidence(wantCheck(t, err, "V-190"), "V-190")
	tn.liars[alice].honestAgain()
	if err := alice.CheckOwnName(tn.ctx); err != nil {
		t.Errorf("an honest server: %v", err)
	}
	// The log is honest, and this device has another account in its profile.
	alice.profile.Account = bob.profile.Account
	err = alice.CheckOwnName(tn.ctx)
	tn.wantEvidence(wantCheck(t, err, "V-194"), "V-194")
}

// TestAuditOfARealLog: the whole log is replayed, and an exported proof holds by
// itself.
func TestAuditOfARealLog(t *testing.T) {
	tn := newTown(t)
	alice := tn.person("alice")
	tn.person("bob")
	done, err := alice.AuditLog(tn.ctx, "")
	if err != nil || done.Updates != 2 || done.Names != 2 || done.Epochs != done.View.Size {
		t.Fatalf("%+v, %v", done, err)
	}
	text, err := alice.ExportProof(tn.ctx, "bob")
	if err != nil {
		t.Fatal(err)
	}
	x, err := kt.ParseExported(text)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := x.Verify(); err != nil || v.Label == nil {
		t.Errorf("%+v, %v", v, err)
	}
}
