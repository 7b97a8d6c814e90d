package client

import (
	"context"
	"testing"
	"time"
)

// TestRekeyRequestThatCrossesTheirEpoch: while Alice asks for a rekey on her
// chain, Bob has opened the next epoch with a text of his own. His reply comes
// too late to advertise a key, so it takes a second request to complete.
func TestRekeyRequestThatCrossesTheirEpoch(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.say(alice, bob, "this opens an epoch of Alice's")
	w.settleAll(bob, alice)
	for !w.sends(alice, bob) {
		w.say(alice, bob, "her turn")
		w.sync(bob)
	}
	w.seal(bob, alice, "and this one of Bob's, not yet on its way")
	if !w.sends(bob, alice) {
		t.Fatal("Bob has not opened an epoch")
	}
	before := w.device(alice, bob).KEMRekeys
	if err := alice.Rekey(w.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	w.running(bob)
	soon, cancel := context.WithTimeout(w.ctx, 5*time.Minute)
	defer cancel()
	if err := alice.WaitRekey(soon, "bob"); err != nil {
		t.Fatalf("the rekey did not complete: %v", err)
	}
	if after := w.device(alice, bob).KEMRekeys; after <= before {
		t.Errorf("%d rekeys, before %d", after, before)
	}
}

// sends reports whether from opened the current epoch of its session.
func (w *world) sends(from, to *Client) (sending bool) {
	w.t.Helper()
	err := from.readBook(w.ctx, party(to), func(b *book) error {
		sending = b.sessions.Sending().Sending()
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return sending
}
