package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/posthorn/posthorn/server/store"
)

// contents is what the envelopes of one mailbox add up to. Sums and shares are
// those up to the number that the head has saved; above it is the tail.
type contents struct {
	saved       uint64 // the last number that the head tells of
	first, last uint64 // numbers found; 0: none
	gap         bool   // some number between them is missing
	bytes       uint64
	shares      map[store.Sender]share
	tail        share
}

// mailboxes holds every head against its envelopes and its senders' shares.
// One pass over the envelopes gathers their sums, so memory grows with the
// number of mailboxes that hold something and of their senders.
func (c *checker) mailboxes() error {
	found, err := c.gather()
	if err != nil {
		return err
	}
	err = c.each(keyShare, func(key, record []byte) error {
		c.share(found, key, record)
		return nil
	})
	if err != nil {
		return err
	}
	err = c.each(keyHead, func(key, record []byte) error {
		box, ok := boxOf(key, 0)
		h, err := parseHead(record)
		if !ok || err != nil {
			c.damaged("mailbox %x: its head cannot be read", key)
		} else {
			c.head(box, h, found[box])
		}
		delete(found, box) // what is left has no head at all
		return nil
	})
	for box := range found {
		c.damaged("mailbox %x: envelopes or shares without a head", box)
	}
	return err
}

// gather reads every envelope.
func (c *checker) gather() (map[store.Box]*contents, error) {
	found := map[store.Box]*contents{}
	err := c.each(keyMessage, func(key, record []byte) error {
		c.report.Envelopes++
		box, ok := boxOf(key, 8)
		if !ok {
			c.damaged("envelope %d of the key order has no number", c.report.Envelopes)
			return nil
		}
		seq := binary.BigEndian.Uint64(key[boxSize:])
		m, err := parseMessage(seq, record)
		if err != nil {
			c.damaged("mailbox %x: envelope %d cannot be read", box, seq)
		} else {
			c.minutes[minuteOf(m.At)]++
		}
		c.report.Bytes += int64(len(m.Data))
		of := contentsOf(found, box)
		if of.first == 0 {
			if of.saved, err = c.saved(box); err != nil {
				return err
			}
		}
		of.add(m)
		return nil
	})
	return found, err
}

func contentsOf(found map[store.Box]*contents, box store.Box) *contents {
	if found[box] == nil {
		found[box] = &contents{shares: map[store.Sender]share{}}
	}
	return found[box]
}

// saved is the last number that a mailbox's head tells of. Without a head that
// can be read, which is reported elsewhere, there is no tail.
func (c *checker) saved(box store.Box) (uint64, error) {
	record, closer, err := c.db.Get(headKey(box))
	if errors.Is(err, pebble.ErrNotFound) {
		return math.MaxUint64, nil
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	h, err := parseHead(record)
	if err != nil {
		return math.MaxUint64, nil
	}
	return h.last, nil
}

// add takes in the next envelope in order.
func (b *contents) add(m store.Msg) {
	if b.first == 0 {
		b.first = m.Seq
	}
	b.gap = b.gap || b.last != 0 && m.Seq != b.last+1
	b.last = m.Seq
	if m.Seq > b.saved {
		b.tail.add(len(m.Data))
		return
	}
	b.bytes += uint64(len(m.Data))
	s := b.shares[m.Sender]
	s.add(len(m.Data))
	b.shares[m.Sender] = s
}

// share holds one sender's share against the envelopes, and crosses it off.
func (c *checker) share(found map[store.Box]*contents, key, record []byte) {
	box, ok := boxOf(key, len(store.Sender{}))
	if !ok {
		c.damaged("a share with a key of %d bytes", len(key))
		return
	}
	sender := store.Sender(key[boxSize:])
	s, err := parseShare(record)
	of := contentsOf(found, box)
	if err != nil || s != of.shares[sender] {
		c.damaged("mailbox %x: a sender's share is not that of the envelopes", box)
	}
	delete(of.shares, sender)
}

// head holds a head against what was found of its mailbox, nil if nothing was.
func (c *checker) head(box store.Box, h *head, found *contents) {
	if found == nil {
		found = &contents{}
	}
	if h.gone {
		c.report.Dropped++
		if found.first != 0 {
			c.damaged("mailbox %x: it was dropped, but envelopes are there", box)
		}
		return
	}
	c.report.Mailboxes++
	for _, problem := range found.against(h, c.tails) {
		c.damaged("mailbox %x: %s", box, problem)
	}
}

// against says how a mailbox differs from its head.
func (b *contents) against(h *head, tails bool) (problems []string) {
	switch {
	case h.count() == 0 && b.first == 0:
	case b.gap, b.first != h.first, b.last < h.last, b.tail.long(), b.last > h.last && !tails:
		problems = append(problems, fmt.Sprintf("it should hold the envelopes %d to %d, and some are missing or too many", h.first, h.last))
	}
	if b.bytes != h.bytes {
		problems = append(problems, fmt.Sprintf("its envelopes have %d bytes, not %d", b.bytes, h.bytes))
	}
	if len(b.shares) > 0 {
		problems = append(problems, fmt.Sprintf("%d senders have no share", len(b.shares)))
	}
	return problems
}
