package level1_test

import (
	"testing"

	"github.com/posthorn/posthorn/suite/suitetest"
)

// TestScheduleFollowsConversation: the exported derivations give every key.
func TestScheduleFollowsConversation(t *testing.T) { suitetest.Follow(t, newWorld(t, "follow"), nil) }

// TestHealing: a thief of one state, without a quantum computer, reads at most
// up to the second change of direction after it. The new ratchet key of every
// epoch is not in any earlier state of either device.
func TestHealing(t *testing.T) {
	w := newWorld(t, "healing")
	w.Talk("alice", "bob")
	for range 4 {
		w.Talk("bob", "alice")
		stolen := stateOf(t, w, "alice").Peers[0].Sessions[0].Ratchet
		if stolen.Own != nil || stolen.Send != nil {
			t.Error("a key for the next epoch exists before it begins")
		}
		w.Talk("alice", "bob")
		after := stateOf(t, w, "alice").Peers[0].Sessions[0].Ratchet
		w.Talk("bob", "alice")
		if end := stateOf(t, w, "alice").Peers[0].Sessions[0].Ratchet; after.Own == nil || end.Own != nil {
			t.Error("the ratchet key outlives the peer's answer")
		}
		w.Talk("alice", "bob")
		w.Talk("bob", "alice")
	}
}
