package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"

	"github.com/cockroachdb/pebble/v2"

	"github.com/posthorn/posthorn/server/store"
)

// Walk shows a visitor everything that the store holds, as it is at one moment.
// Acks that wait count as applied. Nothing may be on its way to the disk: the
// caller has seen to it that nobody writes.
func (s *Store) Walk(ctx context.Context, v store.Visitor) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.mu.Lock()
	w := &walker{ctx: ctx, v: v, acks: maps.Clone(s.acks), at: s.db.NewSnapshot()}
	s.mu.Unlock()
	defer w.at.Close()
	for _, part := range []func() error{w.mailboxes, w.values, w.pools} {
		if err := part(); err != nil {
			return readError(err)
		}
	}
	return nil
}

type walker struct {
	ctx  context.Context
	v    store.Visitor
	acks map[store.Box]uint64
	at   *pebble.Snapshot
}

// each calls show for every record between two keys; the key comes whole.
func (w *walker) each(from, to []byte, show func(key, val []byte) error) error {
	it, err := w.at.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		val, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := show(it.Key(), val); err != nil {
			return err
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
	}
	return it.Error()
}

func (w *walker) mailboxes() error {
	return w.each([]byte{keyHead}, successor([]byte{keyHead}), func(key, val []byte) error {
		if len(key) != 1+boxSize {
			return damaged("key of a mailbox head")
		}
		box := store.Box(key[1:])
		h, err := parseHead(val)
		if err != nil {
			return err
		}
		if h.gone {
			return w.v.Mailbox(store.Head{Box: box, Gone: true})
		}
		last, err := w.last(box, h)
		if err != nil {
			return err
		}
		first := max(h.first, w.acks[box]+1)
		if err := w.v.Mailbox(store.Head{Box: box, First: first, Last: last, Expired: h.expired, Limits: h.limits}); err != nil {
			return err
		}
		return w.envelopes(box, first, last)
	})
}

// last is the highest number given out in a mailbox: that of its head, or of the
// last envelope of its tail.
func (w *walker) last(box store.Box, h *head) (uint64, error) {
	_, to := boxRange(keyMessage, box)
	it, err := w.at.NewIter(&pebble.IterOptions{LowerBound: messageKey(box, h.last+1), UpperBound: to})
	if err != nil {
		return 0, err
	}
	last := h.last
	if it.Last() {
		last = binary.BigEndian.Uint64(it.Key()[1+boxSize:])
	}
	return last, errors.Join(it.Error(), it.Close())
}

// envelopes shows the numbers first..last, all of which must be there.
func (w *walker) envelopes(box store.Box, first, last uint64) error {
	next := first
	_, to := boxRange(keyMessage, box)
	err := w.each(messageKey(box, first), to, func(key, val []byte) error {
		if seq := binary.BigEndian.Uint64(key[len(key)-8:]); seq != next {
			return damaged("mailbox, it has a hole")
		}
		m, err := parseMessage(next, val)
		if err != nil {
			return err
		}
		next++
		return w.v.Envelope(box, m)
	})
	if err == nil && next != last+1 {
		return damaged("mailbox, envelopes are missing")
	}
	return err
}

func (w *walker) values() error {
	return w.each([]byte{keyValue}, successor([]byte{keyValue}), func(key, val []byte) error {
		ver, v, err := parseValue(val)
		if err != nil {
			return err
		}
		return w.v.Value(store.Entry{Key: string(key[1:]), Val: v, Ver: ver})
	})
}

func (w *walker) pools() error {
	return w.each([]byte{keyItem}, successor([]byte{keyItem}), func(key, val []byte) error {
		pool, _, ok := parseItemKey(key[1:])
		if !ok {
			return damaged("key of a pooled value")
		}
		return w.v.Pooled(pool, val)
	})
}
