package client

import (
	"errors"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
)

// provedBefore makes the last proof of a name so old.
func (tn *town) provedBefore(c *Client, name account.Name, age time.Duration) {
	tn.t.Helper()
	if err := c.update(tn.ctx, func(tx *localdb.Tx) error {
		row, err := tx.LogName(name)
		row.CheckedAt = millis(time.Now().Add(-age))
		if err == nil {
			err = tx.PutLogName(row)
		}
		return err
	}); err != nil {
		tn.t.Fatal(err)
	}
}

// TestNothingLeavesUnderAnOldProof: a server that takes messages and gives no
// proofs is used for a day and no longer.
func TestNothingLeavesUnderAnOldProof(t *testing.T) {
	tn := newTown(t)
	alice, bob := tn.person("alice"), tn.person("bob")
	tn.say(alice, bob, "hello")
	tn.sync(bob)
	tn.wantUnread(bob, "hello")

	tn.liars[alice].withholds(true)
	tn.provedBefore(alice, "bob", 23*time.Hour)
	alice.rosters.doubt(bob.profile.Account)
	tn.say(alice, bob, "23 hours on")
	_ = alice.Sync(tn.ctx)
	tn.sync(bob)
	tn.wantUnread(bob, "23 hours on")

	tn.provedBefore(alice, "bob", 25*time.Hour)
	if _, err := alice.Send(tn.ctx, "bob", "25 hours on"); !errors.Is(err, ErrOffline) {
		t.Fatalf("a text that waits: %v", err)
	}
	_ = alice.Sync(tn.ctx)
	tn.sync(bob)
	tn.wantUnread(bob)
	if rows, err := alice.pending(tn.ctx, nil); err != nil || len(rows) == 0 {
		t.Fatalf("%d envelopes wait, %v", len(rows), err)
	}

	tn.liars[alice].withholds(false)
	tn.sync(alice)
	tn.sync(bob)
	tn.wantUnread(bob, "25 hours on")
}
