package pebble

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/server/store"
)

// tally is what Stats answers from: how many mailboxes are open, and how many
// envelopes wait of each minute in which some were accepted. The records of it
// are written in the batch that changes the mailboxes, so that they are always
// true, and reading them at a start takes no walk over the mailboxes. Retention
// bounds the minutes: 43,200 in thirty days.
type tally struct {
	open    uint64
	minutes map[uint64]uint64
	queued  uint64 // sum of minutes
	first   uint64 // the lowest of minutes, if it is in there
}

// minuteOf is the minute in which an envelope was accepted.
func minuteOf(at time.Time) uint64 { return uint64(at.UnixMilli()) / 60_000 }

func tallyKey(minute uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyTally}, minute)
}

func marshalCount(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func parseCount(b []byte) (n uint64, err error) {
	r := codec.NewReader(b)
	if n = r.U64(); !r.Done() {
		return 0, damaged("count")
	}
	return n, nil
}

// add counts envelopes that were stored.
func (t *tally) add(minute, n uint64) {
	if minute < t.first || t.queued == 0 {
		t.first = minute
	}
	t.minutes[minute] += n
	t.queued += n
}

// remove takes back what add counted.
func (t *tally) remove(minute, n uint64) error {
	if t.minutes[minute] < n {
		return damaged("count of envelopes")
	}
	t.queued -= n
	if t.minutes[minute] -= n; t.minutes[minute] == 0 {
		delete(t.minutes, minute)
	}
	return nil
}

// oldest is the first minute of which envelopes wait, or the zero time. It
// looks through all minutes only when the one that was the first is through.
func (t *tally) oldest() time.Time {
	if t.queued == 0 {
		return time.Time{}
	}
	if t.minutes[t.first] == 0 {
		t.first = ^uint64(0)
		for minute := range t.minutes {
			t.first = min(t.first, minute)
		}
	}
	return time.UnixMilli(int64(t.first * 60_000)).UTC()
}

// Stats answers from counters; see store.Store.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	if err := s.enter(); err != nil {
		return store.Stats{}, err
	}
	defer s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	return store.Stats{Mailboxes: s.tally.open, Queued: s.tally.queued, Oldest: s.tally.oldest()}, ctx.Err()
}

// opened counts a mailbox that was created (1) or dropped (-1).
func (t *txn) opened(by int) {
	t.s.tally.open += uint64(by)
	_ = t.batch.Set([]byte{keyOpen}, marshalCount(t.s.tally.open), nil)
}

// queued counts an envelope that this batch stores.
func (t *txn) queued(at time.Time) {
	minute := minuteOf(at)
	t.s.tally.add(minute, 1)
	t.minutes[minute] = true
}

// released counts envelopes that this batch deletes, by minute.
func (t *txn) released(by map[uint64]uint64) error {
	for minute, n := range by {
		if err := t.s.tally.remove(minute, n); err != nil {
			return err
		}
		t.minutes[minute] = true
	}
	return nil
}

// writeTally puts the changed counters into the batch. The caller holds mu.
func (t *txn) writeTally() {
	for minute := range t.minutes {
		if n := t.s.tally.minutes[minute]; n > 0 {
			_ = t.batch.Set(tallyKey(minute), marshalCount(n), nil)
		} else {
			_ = t.batch.Delete(tallyKey(minute), nil)
		}
	}
}

// loadTally reads the counters of a store that is being opened.
func (s *Store) loadTally() error {
	s.tally = tally{minutes: map[uint64]uint64{}}
	b, err := s.get([]byte{keyOpen})
	if err != nil {
		return err
	}
	if b != nil {
		if s.tally.open, err = parseCount(b); err != nil {
			return err
		}
	}
	return s.every(keyTally, func(key, val []byte) error {
		n, err := parseCount(val)
		if err == nil && len(key) == 8 {
			s.tally.add(binary.BigEndian.Uint64(key), n)
			return nil
		}
		return damaged("count")
	})
}

// every calls visit for all records of one kind in order, with the keys behind
// their first byte.
func (s *Store) every(kind byte, visit func(key, val []byte) error) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: successor([]byte{kind})})
	if err != nil {
		return readError(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		val, err := it.ValueAndErr()
		if err != nil {
			return readError(err)
		}
		if err := visit(it.Key()[1:], val); err != nil {
			return err
		}
	}
	return readError(it.Error())
}

// countAnew makes the counters of a store whose format has none, and marks it
// with the format that has.
func (s *Store) countAnew() error {
	s.tally = tally{minutes: map[uint64]uint64{}}
	err := s.every(keyHead, func(_, val []byte) error {
		h, err := parseHead(val)
		if err == nil && !h.gone {
			s.tally.open++
		}
		return err
	})
	if err != nil {
		return err
	}
	err = s.every(keyMessage, func(_, val []byte) error {
		m, err := parseMessage(0, val)
		if err == nil {
			s.tally.add(minuteOf(m.At), 1)
		}
		return err
	})
	if err != nil {
		return err
	}
	batch := s.db.NewBatch()
	_ = batch.Set([]byte{keyOpen}, marshalCount(s.tally.open), nil)
	for minute, n := range s.tally.minutes {
		_ = batch.Set(tallyKey(minute), marshalCount(n), nil)
	}
	_ = batch.Set([]byte{keyFormat}, binary.BigEndian.AppendUint32(nil, formatVersion), nil)
	return batch.Commit(pebble.Sync)
}
