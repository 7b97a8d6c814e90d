package client

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/pq3"
)

// recordOf makes a directory answer about a fresh account.
func recordOf(t *testing.T, name string) transport.Record {
	t.Helper()
	row, _, err := newAccount(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return transport.Record{Name: name, Account: row.Account[:], Statements: row.Statements}
}

func TestV101DirectoryAnswersProveThemselves(t *testing.T) {
	good := recordOf(t, "bob")
	if _, err := verifyRecord(good); err != nil {
		t.Fatal(err)
	}
	altered := recordOf(t, "bob")
	altered.Statements[0] = bytes.Clone(altered.Statements[0])
	altered.Statements[0][len(altered.Statements[0])-1] ^= 1
	other := recordOf(t, "bob")
	other.Account = good.Account
	badName := good
	badName.Name = "Bob\x1b[31m"
	for what, record := range map[string]transport.Record{
		"altered statement": altered, "another account": other, "bad name": badName,
		"no statements": {Name: "bob", Account: good.Account},
	} {
		if _, err := verifyRecord(record); !errors.Is(err, ErrRoster) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestV102ChangedAccountBlocksSending: the name has another account than the
// one it was first seen with, so nothing is sent.
func TestV102ChangedAccountBlocksSending(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.write(alice, func(tx *localdb.Tx) error {
		row, err := tx.ContactByName("bob")
		if err != nil {
			return err
		}
		other := recordOf(t, "bob")
		row.Account, row.Statements = account.ID(other.Account), other.Statements
		return errors.Join(tx.ForgetContact(bob.profile.Account), tx.PutContact(row))
	})
	alice = w.restart(alice)
	if _, err := alice.Send(w.ctx, "bob", "secret"); !errors.Is(err, ErrChangedAccount) {
		t.Fatalf("send: %v", err)
	}
	if rows, err := alice.pending(w.ctx, nil); err != nil || len(rows) != 0 {
		t.Fatalf("%d envelopes, %v", len(rows), err)
	}
	w.say(bob, alice, "it is me")
	w.sync(alice)
	w.wantUnread(alice)
	w.wantRefused(alice, "V-102", 1)
}

func TestV103RostersOnlyGrow(t *testing.T) {
	first, err := verifyRecord(recordOf(t, "bob"))
	if err != nil {
		t.Fatal(err)
	}
	longer := first
	longer.row.Statements = append(bytes2(first.row.Statements), []byte("next"))
	if kept, err := extend(longer, first); err != nil || len(kept.row.Statements) != 2 {
		t.Errorf("an old copy took the place of a newer roster: %v", err)
	}
	if taken, err := extend(first, longer); err != nil || len(taken.row.Statements) != 2 {
		t.Errorf("a longer roster was not taken: %v", err)
	}
	forked := first
	forked.row.Statements = append(bytes2(first.row.Statements), []byte("other"))
	if _, err := extend(longer, forked); !errors.Is(err, ErrRoster) {
		t.Errorf("fork: %v", err)
	}
}

func bytes2(in [][]byte) [][]byte { return append([][]byte(nil), in...) }

func TestV104OnlyDevicesOfTheRosterAreHeard(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.seal(alice, bob, "text")
	row := w.take(alice)[0]
	delivery := transport.Delivery{Seq: 1, ID: row.Envelope, SenderAccount: alice.profile.Account, SenderDevice: alice.profile.Device, Payload: row.Payload}
	for what, change := range map[string]func(*transport.Delivery){
		"unknown device":  func(d *transport.Delivery) { d.SenderDevice[0] ^= 1 },
		"unknown account": func(d *transport.Delivery) { d.SenderAccount[0] ^= 1 },
		"own account":     func(d *transport.Delivery) { d.SenderAccount, d.SenderDevice = bob.profile.Account, bob.profile.Device },
	} {
		before := bob.Refusals()["V-104"]
		d := delivery
		change(&d)
		if v, err := bob.receive(w.ctx, d); v != settled || err != nil {
			t.Errorf("%s: verdict %v, %v", what, v, err)
		}
		w.wantRefused(bob, "V-104", before+1)
	}
	state := func(s localdb.ContactState) {
		w.write(bob, func(tx *localdb.Tx) error {
			row, err := tx.Contact(alice.profile.Account)
			row.State = s
			return errors.Join(err, tx.PutContact(row))
		})
	}
	state(localdb.Blocked)
	if v, err := bob.receive(w.ctx, delivery); v != settled || err != nil {
		t.Errorf("blocked: verdict %v, %v", v, err)
	}
	w.wantRefused(bob, "V-104", 4)
	w.wantUnread(bob)
	state(localdb.Friend)
	if v, err := bob.receive(w.ctx, delivery); v != settled || err != nil {
		t.Fatal(err)
	}
	w.wantUnread(bob, "text")
}

// TestV105OnlyTheAuthenticatedSuite: a message, or a bundle, of the published
// suite without authentication is refused even from a device that claims it.
func TestV105OnlyTheAuthenticatedSuite(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.seal(alice, bob, "text")
	row := w.take(alice)[0]
	weaker := bytes.Clone(row.Payload)
	weaker[0] = byte(account.PQ3)
	before := w.sessionRows(bob)
	w.post(alice, forged(bob, weaker))
	w.sync(bob)
	w.wantRefused(bob, "V-105", 1)
	if !bytes.Equal(before, w.sessionRows(bob)) {
		t.Error("the sessions changed")
	}
	now := time.Now()
	both := *party(bob).Device
	both.Suites = []account.Suite{account.PQ3, account.PQ3A}
	laboratory, err := pq3.NewIdentity(account.Party{Account: bob.profile.Account, Device: &both}, bob.key)
	if err != nil {
		t.Fatal(err)
	}
	prekey, err := pq3.NewPrekey(laboratory, account.PQ3, now, now.Add(time.Hour), bob.entropy)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkBundle(prekey.Bundle()); !errors.Is(err, ErrNoCommonSuite) {
		t.Errorf("bundle: %v", err)
	}
}

// TestA16ForgedOrStaleBundleLeavesTheTextWaiting: nothing is encapsulated to a
// bundle that the peer's device did not sign; the text is kept.
func TestA16UnusableBundleLeavesTheTextWaiting(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	p, err := alice.findByName(w.ctx, "bob")
	if err != nil {
		t.Fatal(err)
	}
	w.write(alice, func(tx *localdb.Tx) error { // a newer bundle was seen before
		return tx.PutPeerDevice(localdb.PeerDevice{
			Device: bob.profile.Device, Account: p.row.Account, NewestBundle: millis(time.Now().Add(time.Hour)),
		})
	})
	sent, err := alice.Send(w.ctx, "bob", "kept")
	if !errors.Is(err, ErrBundle) || !errors.Is(err, ErrWaitingForPeer) || sent.ID == (content.ID{}) {
		t.Fatalf("%+v, %v", sent, err)
	}
	if s, err := alice.Status(w.ctx); err != nil || s.Outbox != 1 {
		t.Errorf("status %+v, %v", s, err)
	}
}

func TestOwnNameAndUnknownContact(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	if _, err := alice.Send(w.ctx, "alice", "note to self"); !errors.Is(err, ErrOwnName) {
		t.Errorf("own name: %v", err)
	}
	if _, err := alice.Sessions(w.ctx, "nobody"); !errors.Is(err, ErrUnknownName) {
		t.Errorf("sessions: %v", err)
	}
	if _, err := alice.Inbox(w.ctx, Filter{From: "nobody"}); !errors.Is(err, ErrUnknownName) {
		t.Errorf("inbox: %v", err)
	}
}
