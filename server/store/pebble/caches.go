package pebble

import (
	"container/list"
	"hash/maphash"
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
// without pointers, for the collector would follow them at every turn. Its places
// are found by a hash, which keeps the table in the processor's cache; of two
// keys with the same hash the later one is known.
type repeatCache struct {
	seed   maphash.Seed
	places map[uint64]int32 // in ring, of the latest with this hash
	ring   []repeat
	next   int32 // the place that is written next: the oldest, once the ring is full
}

type repeat struct {
	key  repeatKey
	hash uint64
	seq  uint64
	at   int64 // Unix time in ms
}

func newRepeatCache() *repeatCache {
	return &repeatCache{seed: maphash.MakeSeed(), places: make(map[uint64]int32)}
}

// find returns the number that an envelope got when it came before.
func (c *repeatCache) find(e *store.Envelope) (seq uint64, ok bool) {
	key := repeatKey{e.Box, e.Sender, e.ID}
	place, ok := c.places[maphash.Comparable(c.seed, key)]
	if !ok || c.ring[place].key != key {
		return 0, false
	}
	r := &c.ring[place]
	return r.seq, e.At.Sub(time.UnixMilli(r.at)).Abs() <= store.RepeatWindow
}

// note remembers the number of an envelope.
func (c *repeatCache) note(e *store.Envelope, seq uint64) {
	key := repeatKey{e.Box, e.Sender, e.ID}
	r := repeat{key, maphash.Comparable(c.seed, key), seq, e.At.UnixMilli()}
	if len(c.ring) < maxRepeats {
		c.ring = append(c.ring, r)
	} else {
		if oldest := c.ring[c.next].hash; c.places[oldest] == c.next {
			delete(c.places, oldest)
		}
		c.ring[c.next] = r
	}
	c.places[r.hash] = c.next
	c.next = (c.next + 1) % maxRepeats
}
