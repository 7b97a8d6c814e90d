package client

import (
	"errors"
	"testing"
	"time"

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
	rows, err := alice.pending(w.ctx, 0)
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
	if err := alice.renew(w.ctx, renewal{}, rows, outcomes); !errors.Is(err, ErrStaleDevices) {
		t.Fatalf("nothing newer to see: %v", err)
	}
	if left, err := alice.pending(w.ctx, 0); err != nil || len(left) != len(rows) {
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
	w.wantSaid(phone, "alice", "first", "late for one")
}
