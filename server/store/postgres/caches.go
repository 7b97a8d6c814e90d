package postgres

import (
	"container/list"
	"time"

	"github.com/posthorn/posthorn/server/store"
)

// maxRepeats bounds the memory for envelope ids, about 200 bytes each.
const maxRepeats = 1 << 16

// repeatKey tells envelopes apart. The sender is part of it, so that nobody
// can block another's envelope by guessing its id.
type repeatKey struct {
	box    store.Box
	sender store.Sender
	id     store.EnvelopeID
}

func keyOf(e *store.Envelope) repeatKey { return repeatKey{e.Box, e.Sender, e.ID} }

// repeatCache knows the numbers of the envelopes that this process stored
// last, and those of which it does not know whether they were stored.
type repeatCache struct {
	byKey map[repeatKey]*list.Element
	order *list.List // of repeat, newest first
}

// repeat is what is known of an envelope. Number 0: ask the database.
type repeat struct {
	key repeatKey
	seq uint64
	at  time.Time
}

func newRepeatCache() *repeatCache {
	return &repeatCache{byKey: make(map[repeatKey]*list.Element), order: list.New()}
}

// find returns what is known of an envelope that came before.
func (c *repeatCache) find(e *store.Envelope) (r repeat, ok bool) {
	el := c.byKey[keyOf(e)]
	if el == nil {
		return repeat{}, false
	}
	r = el.Value.(repeat)
	return r, within(e.At, r.at)
}

func within(a, b time.Time) bool { return a.Sub(b).Abs() <= store.RepeatWindow }

// note remembers the number of an envelope.
func (c *repeatCache) note(e *store.Envelope, seq uint64) {
	key := keyOf(e)
	if old := c.byKey[key]; old != nil {
		c.order.Remove(old)
	}
	c.byKey[key] = c.order.PushFront(repeat{key, seq, e.At})
	if c.order.Len() > maxRepeats {
		oldest := c.order.Remove(c.order.Back()).(repeat)
		delete(c.byKey, oldest.key)
	}
}

// doubt keeps the envelopes and forgets their numbers: the database is asked.
func (c *repeatCache) doubt() {
	for el := c.order.Front(); el != nil; el = el.Next() {
		r := el.Value.(repeat)
		r.seq = 0
		el.Value = r
	}
}

// maxHeads bounds the memory for the heads of mailboxes.
const maxHeads = 1 << 16

// headCache knows numbers that mailboxes have given out, so that most acks need
// not ask. What it knows may be old: a head only rises, until the database is
// put back to an earlier moment; see Store.doubt.
type headCache struct{ last map[store.Box]uint64 }

func newHeadCache() *headCache { return &headCache{make(map[store.Box]uint64)} }

func (c *headCache) note(box store.Box, last uint64) {
	if _, there := c.last[box]; !there && len(c.last) >= maxHeads {
		for old := range c.last { // any one
			delete(c.last, old)
			break
		}
	}
	c.last[box] = max(c.last[box], last)
}
