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

// maxRepeats bounds the memory for envelope ids, about 120 bytes each.
const maxRepeats = 1 << 16

// repeatKey tells envelopes apart. The sender is part of it, so that nobody
// can block another's envelope by guessing its id.
type repeatKey struct {
	box    store.Box
	sender store.Sender
	id     store.EnvelopeID
}

// repeatCache knows the numbers of the envelopes stored last. It is a ring
// without pointers, for the collector would follow them at every turn.
type repeatCache struct {
	places map[repeatKey]int32 // in ring, of the latest with this key
	ring   []repeat
	next   int32 // the place that is written next: the oldest, once the ring is full
}

type repeat struct {
	key repeatKey
	seq uint64
	at  int64 // Unix time in ms
}

func newRepeatCache() *repeatCache { return &repeatCache{places: make(map[repeatKey]int32)} }

// find returns the number that an envelope got when it came before.
func (c *repeatCache) find(e *store.Envelope) (seq uint64, ok bool) {
	place, ok := c.places[repeatKey{e.Box, e.Sender, e.ID}]
	if !ok {
		return 0, false
	}
	r := &c.ring[place]
	return r.seq, e.At.Sub(time.UnixMilli(r.at)).Abs() <= store.RepeatWindow
}

// note remembers the number of an envelope.
func (c *repeatCache) note(e *store.Envelope, seq uint64) {
	r := repeat{repeatKey{e.Box, e.Sender, e.ID}, seq, e.At.UnixMilli()}
	if len(c.ring) < maxRepeats {
		c.ring = append(c.ring, r)
	} else {
		if oldest := c.ring[c.next].key; c.places[oldest] == c.next {
			delete(c.places, oldest)
		}
		c.ring[c.next] = r
	}
	c.places[r.key] = c.next
	c.next = (c.next + 1) % maxRepeats
}
