package pq3

import "testing"

// TestThreeSessionsAreKept: a fourth pushes out the oldest by its start, in
// whatever order they come, and the next state of a session replaces it.
func TestThreeSessionsAreKept(t *testing.T) {
	var ss Sessions
	at := func(start uint64) *Session { return &Session{id: SessionID{byte(start)}, startTime: start} }
	for _, start := range []uint64{20, 40, 30} {
		var dropped *Session
		if ss, dropped = ss.With(at(start)); dropped != nil {
			t.Fatalf("with room, the session of %d fell out", dropped.startTime)
		}
	}
	kept, dropped := ss.With(at(35))
	if len(kept) != maxSessions || dropped == nil || dropped.startTime != 20 {
		t.Fatalf("%d kept, dropped %v", len(kept), dropped)
	}
	if kept.LastStart() != 40 || kept[1].startTime != 35 || kept[2].startTime != 30 {
		t.Error("not ordered by start, newest first")
	}
	next := at(30)
	if kept, dropped = kept.With(next); dropped != nil || kept[2] != next || len(kept) != maxSessions {
		t.Error("the next state of a session took a place of its own")
	}
	if len(ss) != 3 || ss[2].startTime != 20 {
		t.Error("a list was changed in place")
	}
}
