package client

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
)

// TestV223StaleWithoutANewerList: the server speaks of newer devices and shows
// none. The envelopes stay.
func TestV223StaleWithoutANewerList(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.seal(alice, bob, "kept")
	rows, err := alice.pending(w.ctx, nil)
	if err != nil || len(rows) == 0 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	outcomes := make([]transport.Outcome, len(rows))
	for i := range outcomes {
		outcomes[i] = transport.Stale
	}
	if err := alice.record(w.ctx, rows, outcomes); err != nil {
		t.Fatal(err)
	}
	claims, err := alice.claims(w.ctx, rows)
	if err != nil {
		t.Fatal(err)
	}
	stuck := &unrenewed{map[account.ID]error{}}
	if err := alice.renew(w.ctx, renewal{}, stuck, claims, rows, outcomes); err != nil || !errors.Is(stuck, ErrStaleDevices) {
		t.Fatalf("nothing newer to see: %v, %v", err, stuck.why)
	}
	for range 2 {
		if err := alice.goOn(w.ctx, stuck); err != nil {
			t.Fatalf("one list that is stuck ends the connection: %v", err)
		}
	}
	if told := w.notices(alice); len(told) != 1 || !strings.Contains(told[0], "@bob's devices") {
		t.Errorf("the user was told %q", told)
	}
	if left, err := alice.pending(w.ctx, nil); err != nil || len(left) != len(rows) {
		t.Errorf("%d of %d envelopes are left, %v", len(left), len(rows), err)
	}
	w.sync(alice, bob)
	w.wantUnread(bob, "kept")
}

// A device that nobody can seal for keeps the others from nothing, and gets the
// text when it can.
func TestADeviceWithoutKeysHoldsUpNobodyElse(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	phone := w.sibling(bob)
	w.say(alice, bob, "first")
	w.settleAll(alice, bob, phone)
	p, err := alice.findByName(w.ctx, "bob")
	if err != nil {
		t.Fatal(err)
	}
	message := alice.newMessage(content.Text{Text: "late for one"}, time.Now())
	if err := alice.sealTextFor(w.ctx, p, p.parties()[0], message); err != nil {
		t.Fatal(err)
	}
	w.write(alice, func(tx *localdb.Tx) error {
		return alice.oweText(tx, p.row.Account, p.parties()[1].Device.ID, message.ID)
	})
	w.settleAll(alice, bob, phone)
	w.wantSaid(phone, "alice", ">hello yourself", "first", "late for one")
}

// A text that waits in the outbox reaches a device that the recipient adds
// meanwhile, also when this device learns of it before the server can say that
// the list was out of date.
func TestTextInTheOutboxReachesADeviceLearnedOfMeanwhile(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.seal(alice, bob, "written offline")
	phone := w.sibling(bob)
	alice.rosters.doubt(bob.profile.Account)
	w.say(alice, bob, "written online") // its look-up shows the phone
	w.settleAll(alice, bob, phone)
	w.wantSaid(phone, "alice", ">hello yourself", "written offline", "written online")
}

// The same when the new device has taken the place of the old one.
func TestTextInTheOutboxReachesTheDeviceThatTookTheOthersPlace(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.seal(alice, bob, "written offline")
	phone := w.sibling(bob)
	w.sync(bob)
	if err := phone.RemoveDevices(w.ctx, bob.profile.Device); err != nil {
		t.Fatal(err)
	}
	alice.rosters.doubt(bob.profile.Account)
	w.say(alice, phone, "written online")
	w.settleAll(alice, phone)
	w.wantSaid(phone, "alice", "written offline", "written online")
}

// A device that was added while a text was being sealed gets it as well.
func TestTextReachesADeviceAddedWhileItWasSealed(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	before := w.known(alice, bob)
	phone := w.sibling(bob)
	if _, err := alice.findByID(w.ctx, bob.profile.Account, true); err != nil {
		t.Fatal(err)
	}
	if err := alice.sealText(w.ctx, before, alice.newMessage(content.Text{Text: "in between"}, time.Now())); err != nil {
		t.Fatal(err)
	}
	w.settleAll(alice, bob, phone)
	w.wantSaid(phone, "alice", ">hello yourself", "in between")
}

// What is stuck for one account holds nothing up for another, however much it is.
func TestAStuckListHoldsUpNobodyElse(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	carol := w.person("carol")
	first := w.known(alice, bob)
	for range batchEnvelopes {
		w.seal(alice, bob, "waits")
	}
	w.seal(alice, carol, "goes out")
	ghost := w.rival(bob, first) // what alice holds contradicts what the directory shows
	w.write(alice, func(tx *localdb.Tx) error { return storeStatements(tx, ghost.row) })
	w.sibling(bob)
	w.sync(bob)
	w.sibling(bob)
	if err := alice.flush(w.ctx); !errors.Is(err, ErrRoster) {
		t.Fatalf("a list that contradicts the known one: %v", err)
	}
	w.sync(alice, carol) // and a connection is made all the same
	w.wantUnread(carol, "goes out")
	if rows, err := alice.pending(w.ctx, nil); err != nil || len(rows) != batchEnvelopes {
		t.Errorf("%d envelopes wait, %v", len(rows), err)
	}
}
