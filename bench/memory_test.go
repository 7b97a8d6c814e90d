package bench

import (
	"runtime"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
)

// TestAllocationsOfARound: a ping-pong round of seal and open makes at most 60
// allocations more than its primitives alone.
func TestAllocationsOfARound(t *testing.T) {
	for _, suite := range suites {
		ours, floor := 0.0, 0.0
		for _, r := range turnRows(suite, 100)[:2] {
			ours += testing.AllocsPerRun(20, r.ours)
			floor += testing.AllocsPerRun(20, r.floor)
		}
		t.Logf("%s: %.0f allocations a round, floor %.0f", suite, ours, floor)
		if ours > floor+60 {
			t.Errorf("%s: %.0f allocations a round, floor %.0f", suite, ours, floor)
		}
	}
}

// TestSessionAtRest: an established session without skipped keys and
// outstanding objects takes at most 1 KiB stored and 2 KiB of heap.
func TestSessionAtRest(t *testing.T) {
	for _, suite := range suites {
		c := newConversation(suite).settle()
		for name, s := range map[string]*pq3.Session{"role S": c.alice.Sessions.Sending(), "role R": c.bob.Sessions.Sending()} {
			stored, heap := len(s.MarshalState()), heapOf(c, s)
			t.Logf("%s, %s: %d bytes stored, %d of heap", suite, name, stored, heap)
			if stored > 1024 || heap > 2048 {
				t.Errorf("%s, %s: %d bytes stored, %d of heap", suite, name, stored, heap)
			}
		}
	}
}

// heapOf is the heap that one restored session holds, from many of them.
func heapOf(c *conversation, s *pq3.Session) int {
	const many = 2000
	me, peer := c.alice.Identity, c.bob.Party()
	if s.Peer().Account == me.Party().Account {
		me, peer = c.bob.Identity, c.alice.Party()
	}
	state, kept := s.MarshalState(), make([]*pq3.Session, many)
	before := heapInUse()
	for i := range kept {
		kept[i] = must(pq3.RestoreSession(me, peer, pq3.Policy{}, state, nil))
	}
	grown := heapInUse() - before
	runtime.KeepAlive(kept)
	return int(grown) / many
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestSkippedKeysAtRest: a session with over 1,000 skipped keys stores at most
// 64 KiB, and a message that arrives in order rewrites none of it.
func TestSkippedKeysAtRest(t *testing.T) {
	c := newConversation(account.PQ3A).settle()
	for range 4 {
		c.say(c.bob, c.alice, 1)
		c.overtake(256)
	}
	before := c.bob.Sessions.Sending()
	stored := len(before.MarshalState()) + len(before.MarshalSkipped())
	t.Logf("1,020 skipped keys: %d bytes stored", stored)
	if stored > 64<<10 {
		t.Errorf("1,020 skipped keys: %d bytes stored", stored)
	}
	c.say(c.alice, c.bob, 1)
	if put, gone := c.bob.Sessions.Sending().SkippedChanges(before); len(put)+len(gone) != 0 {
		t.Errorf("a message in order rewrites %d rows and deletes %d", len(put), len(gone))
	}
}
