package localdb

import "testing"

// What waits is what the user waits for: a head of the log that goes out beside a
// text by chance is none of it.
func TestHeadsOfTheLogAreNotCountedAsWaiting(t *testing.T) {
	_, db := made(t)
	update(t, db, func(tx *Tx) error {
		for i, kind := range []OutgoingKind{OutgoingText, OutgoingGossip, OutgoingReceipt} {
			if _, err := tx.PutOutgoing(Outgoing{Envelope: [16]byte{byte(i)}, Kind: kind}); err != nil {
				return err
			}
		}
		return nil
	})
	if n := view(t, db, (*Tx).CountPending); n != 2 {
		t.Errorf("%d wait, want 2", n)
	}
}
