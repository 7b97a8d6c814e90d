package pebble

import (
	"container/list"
	"time"

	"github.com/posthorn/posthorn/server/store"
)

// headCache keeps the heads of the mailboxes used last. A head with changes on
// their way to the disk is never dropped, since the disk does not know it yet.
type headCache struct {
	max   int
	byBox map[store.Box]*list.Element
	order *list.List // of *cachedHead, most recent first
}

type cachedHead struct {
	box store.Box
	*head
}

func newHeadCache(max int) *headCache {
	return &headCache{max: max, byBox: make(map[store.Box]*list.Element), order: list.New()}
}

func (c *headCache) get(box store.Box) *head {
	e := c.byBox[box]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedHead).head
}

// put adds a head and returns it. It makes room by dropping idle heads from
// the old end, looking at a few only: then the cache may exceed its bound by
// what is in flight, which the queue bounds.
func (c *headCache) put(box store.Box, h *head) *head {
	c.byBox[box] = c.order.PushFront(&cachedHead{box, h})
	e := c.order.Back()
	for range 8 {
		if len(c.byBox) <= c.max || e == c.order.Front() {
			break
		}
		older := e.Prev()
		if old := e.Value.(*cachedHead); old.flights == 0 {
			c.order.Remove(e)
			delete(c.byBox, old.box)
		}
		e = older
	}
	return h
}

// maxRepeats bounds the memory for envelope ids, about 200 bytes each.
const maxRepeats = 1 << 16

// repeatKey tells envelopes apart. The sender is part of it, so that nobody
// can block another's envelope by guessing its id.
type repeatKey struct {
	box    store.Box
	sender store.Sender
	id     store.EnvelopeID
}

// repeatCache knows the numbers of the envelopes stored last.
type repeatCache struct {
	byKey map[repeatKey]*list.Element
	order *list.List // of repeat, newest first
}

type repeat struct {
	key repeatKey
	seq uint64
	at  time.Time
}

func newRepeatCache() *repeatCache {
	return &repeatCache{byKey: make(map[repeatKey]*list.Element), order: list.New()}
}

// find returns the number that an envelope got when it came before.
func (c *repeatCache) find(e *store.Envelope) (seq uint64, ok bool) {
	el := c.byKey[repeatKey{e.Box, e.Sender, e.ID}]
	if el == nil {
		return 0, false
	}
	r := el.Value.(repeat)
	return r.seq, e.At.Sub(r.at).Abs() <= store.RepeatWindow
}

// note remembers the number of an envelope.
func (c *repeatCache) note(e *store.Envelope, seq uint64) {
	key := repeatKey{e.Box, e.Sender, e.ID}
	if old := c.byKey[key]; old != nil {
		c.order.Remove(old)
	}
	c.byKey[key] = c.order.PushFront(repeat{key, seq, e.At})
	if c.order.Len() > maxRepeats {
		oldest := c.order.Remove(c.order.Back()).(repeat)
		delete(c.byKey, oldest.key)
	}
}
