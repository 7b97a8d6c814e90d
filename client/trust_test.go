package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/verification"
)

func (w *world) trust(of *Client, name account.Name) Trust {
	w.t.Helper()
	contact, err := of.Contact(w.ctx, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return contact.Trust
}

func TestContactIsVerifiedByTheCodeOfBoth(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	if w.trust(alice, "bob") != Unverified {
		t.Fatal("verified before anybody compared anything")
	}
	code, _, err := bob.PairCode(w.ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := alice.Verify(w.ctx, "bob", verification.Grouped(code)); err != nil {
		t.Fatal(err)
	}
	alice = w.restart(alice)
	if w.trust(alice, "bob") != Verified || w.trust(bob, "alice") != Unverified {
		t.Error("a comparison counts for the side that made it, and stays")
	}
	if err := bob.Verify(w.ctx, "alice", alice.PublicCode()); err != nil || w.trust(bob, "alice") != Verified {
		t.Errorf("by public code: %v", err)
	}
}

func TestV253CodeOfSomebodyElseVerifiesNobody(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	carol := w.person("carol")
	code, _, err := carol.PairCode(w.ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{code, carol.PublicCode(), alice.PublicCode()} {
		if err := alice.Verify(w.ctx, "bob", other); !errors.Is(err, ErrCodeDiffers) {
			t.Errorf("%q: %v", other, err)
		}
	}
	if w.trust(alice, "bob") != Unverified {
		t.Error("verified by a code that differs")
	}
	if err := alice.Verify(w.ctx, "bob", bob.PublicCode()); err != nil {
		t.Fatal(err)
	}
	if err := alice.Verify(w.ctx, "bob", code); !errors.Is(err, ErrCodeDiffers) || w.trust(alice, "bob") != Verified {
		t.Errorf("a slip undid a verification: %v", err)
	}
}

// both runs a live comparison from a to b, with b connected, and returns what
// each reads out.
func (w *world) both(a, b *Client) (atA, atB string) {
	w.t.Helper()
	running, stop := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- b.Run(running) }()
	if err := a.BeginComparison(w.ctx, b.Name()); err != nil {
		w.t.Fatal(err)
	}
	atA, err := a.WaitComparison(w.ctx, b.Name(), 5*time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		w.t.Fatal(err)
	}
	run, err := b.run(w.ctx, a.profile.Account)
	if err != nil || run == nil {
		w.t.Fatalf("the responder has no run: %v", err)
	}
	return atA, run.Code()
}

func TestLiveComparison(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	atAlice, atBob := w.both(alice, bob)
	if atAlice != atBob || len(atAlice) != verification.ShortDigits {
		t.Fatalf("%q and %q", atAlice, atBob)
	}
	notices, err := bob.Notices(w.ctx)
	if err != nil || len(notices) != 1 || !strings.Contains(notices[0], verification.Words(atBob)) {
		t.Errorf("bob was told %q, %v", notices, err)
	}
	alice, bob = w.restart(alice), w.restart(bob)
	for c, words := range map[*Client]string{alice: verification.Words(atBob), bob: verification.Grouped(atAlice)} {
		peer := account.Name("bob")
		if c == bob {
			peer = "alice"
		}
		if err := c.Verify(w.ctx, peer, words); err != nil || w.trust(c, peer) != Verified {
			t.Errorf("%s heard %q: %v", c.Name(), words, err)
		}
		if err := c.Verify(w.ctx, peer, atAlice); !errors.Is(err, ErrNoComparison) {
			t.Errorf("a code counted twice: %v", err)
		}
	}
}

// Three comparisons in which the digits differ are enough for a day.
func TestThreeFailedComparisonsLock(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	for range mostFailures {
		code, _ := w.both(alice, bob)
		wrong := string('0'+(code[0]-'0'+1)%10) + code[1:]
		if err := alice.Verify(w.ctx, "bob", wrong); !errors.Is(err, ErrCodeDiffers) {
			t.Fatal(err)
		}
		if err := alice.Verify(w.ctx, "bob", code); !errors.Is(err, ErrNoComparison) && !errors.Is(err, ErrVerificationLocked) {
			t.Fatalf("a failed run could be tried again: %v", err)
		}
	}
	if err := alice.BeginComparison(w.ctx, "bob"); !errors.Is(err, ErrVerificationLocked) {
		t.Fatalf("a fourth run: %v", err)
	}
	code, _, err := bob.PairCode(w.ctx, "alice")
	if err == nil {
		err = alice.Verify(w.ctx, "bob", code)
	}
	if err != nil {
		t.Errorf("the long code is locked too: %v", err)
	}
}

// Nobody answers while the other side is away, and what waited in the mailbox is
// too old when it comes back.
func TestComparisonNeedsBothOnline(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	if err := alice.BeginComparison(w.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.WaitComparison(w.ctx, "bob", 100*time.Millisecond); !errors.Is(err, ErrNoComparison) {
		t.Fatalf("somebody answered: %v", err)
	}
	old := content.Message{SentAt: millis(clock.Now().Add(-11 * time.Minute)), Body: content.Verification{Run: [16]byte{1}, Step: stepOfferA, Data: verification.Offer{}.Marshal()}}
	p, err := bob.knownByName(w.ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := bob.withBook(w.ctx, p.parties()[0], func(b *book) error { return b.verification(p.row, old) }); err != nil {
		t.Fatal(err)
	}
	if run, err := bob.run(w.ctx, p.row.Account); run != nil || err != nil {
		t.Errorf("an old offer began a run: %v", err)
	}
	if bob.Refusals()["V-251"] != 1 {
		t.Errorf("refusals are %v", bob.Refusals())
	}
}

// Both begin at once: the run of the smaller account id counts at both ends.
func TestComparisonBegunByBoth(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	for _, pair := range [][2]*Client{{alice, bob}, {bob, alice}} {
		if err := pair[0].BeginComparison(w.ctx, pair[1].Name()); err != nil {
			t.Fatal(err)
		}
	}
	w.settleAll(alice, bob, alice, bob)
	a, errA := alice.run(w.ctx, bob.profile.Account)
	b, errB := bob.run(w.ctx, alice.profile.Account)
	if err := errors.Join(errA, errB); err != nil || a == nil || b == nil || a.Code() == "" || a.Code() != b.Code() || a.Role() == b.Role() {
		t.Fatalf("no common code: %v", err)
	}
}

// A stranger gets no answer to an offer, as to anything else.
func TestStrangersOfferIsNotAnswered(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	if err := alice.BeginComparison(w.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	w.settleAll(bob, alice)
	if run, err := bob.run(w.ctx, alice.profile.Account); run != nil || err != nil {
		t.Errorf("a stranger began a run: %v", err)
	}
}

// changeHands makes alice's profile believe that @bob was another account
// before, which is what a takeover of the name looks like.
func (w *world) changeHands(alice, bob *Client) (former account.ID) {
	w.t.Helper()
	other := w.person("other")
	if err := alice.update(w.ctx, func(tx *localdb.Tx) error {
		return tx.PutContact(localdb.Contact{
			Account: other.profile.Account, Name: bob.Name(), Statements: other.profile.Statements,
			State: localdb.Friend, PinnedSuite: account.PQ3A, VerifiedAt: 1, FirstSeen: 1,
		})
	}); err != nil {
		w.t.Fatal(err)
	}
	return other.profile.Account
}

// A29: a known name with another account blocks sending, also after a restart,
// until the user has accepted the new account or compared its code.
func TestChangedAccountBlocksUntilReviewed(t *testing.T) {
	reviews := map[string]struct {
		review func(w *world, alice, bob *Client) error
		trust  Trust
	}{
		"accepted": {func(w *world, alice, _ *Client) error { return alice.AcceptContact(w.ctx, "bob") }, Unverified},
		"verified": {func(w *world, alice, bob *Client) error { return alice.Verify(w.ctx, "bob", bob.PublicCode()) }, Verified},
	}
	for name, c := range reviews {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.person("alice"), w.person("bob")
			former := w.changeHands(alice, bob)
			for range 2 {
				if _, err := alice.Send(w.ctx, "bob", "secret"); !errors.Is(err, ErrChangedAccount) {
					t.Fatalf("sent to another account: %v", err)
				}
				alice = w.restart(alice)
			}
			if w.trust(alice, "bob") != Changed {
				t.Fatal("the change left no trace")
			}
			if notices, err := alice.Notices(w.ctx); err != nil || len(notices) != 1 {
				t.Errorf("told %d times: %v", len(notices), err)
			}
			if err := alice.Verify(w.ctx, "bob", alice.PublicCode()); !errors.Is(err, ErrCodeDiffers) {
				t.Fatalf("reviewed by a wrong code: %v", err)
			}
			if err := c.review(w, alice, bob); err != nil {
				t.Fatal(err)
			}
			contact, err := alice.Contact(w.ctx, "bob")
			if err != nil || contact.AccountID != bob.profile.Account || contact.Trust != c.trust || contact.AccountID == former {
				t.Fatalf("%+v, %v", contact, err)
			}
			w.say(alice, bob, "to the new one")
			w.settleAll(bob)
			w.wantUnread(bob, "to the new one")
		})
	}
}

func TestBlockedContactIsNotHeard(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	if err := bob.BlockContact(w.ctx, "alice", true); err != nil {
		t.Fatal(err)
	}
	w.say(alice, bob, "hello?")
	w.settleAll(bob)
	w.wantUnread(bob)
	if contact, err := bob.Contact(w.ctx, "alice"); err != nil || !contact.Blocked || contact.Accepted {
		t.Errorf("%+v, %v", contact, err)
	}
	if err := bob.BlockContact(w.ctx, "alice", false); err != nil {
		t.Fatal(err)
	}
	w.say(alice, bob, "again")
	w.settleAll(bob)
	w.wantUnread(bob, "again")
	if err := bob.BlockContact(w.ctx, "nobody", true); !errors.Is(err, ErrUnknownName) {
		t.Errorf("blocked nobody: %v", err)
	}
}
