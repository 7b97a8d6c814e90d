package pebble

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/posthorn/posthorn/server/store"
)

// txn is a batch while the committer builds it. Changes see what earlier ones
// in the same batch did: heads are shared objects, other records go through
// get and set.
type txn struct {
	s      *Store
	batch  *pebble.Batch
	writes []*write
	over   map[string][]byte   // records set in this batch; nil: deleted
	heads  map[store.Box]*head // heads changed in this batch
	keys   []string            // directory keys changed in this batch

	minutes map[uint64]bool        // counters changed in this batch
	fresh   map[store.Box][]uint64 // minutes of the envelopes stored in this batch
}

func (s *Store) begin() *txn {
	return &txn{
		s:     s,
		batch: s.db.NewBatch(),
		over:  make(map[string][]byte),
		heads: make(map[store.Box]*head),

		minutes: make(map[uint64]bool),
		fresh:   make(map[store.Box][]uint64),
	}
}

// take runs one change. Damage that it meets stops the store: what is
// committed on top of unreadable records could only make them worse.
func (t *txn) take(w *write) {
	t.s.mu.Lock()
	w.err = w.run(t)
	t.s.mu.Unlock()
	t.writes = append(t.writes, w)
	if errors.Is(w.err, store.ErrCorrupt) {
		t.s.stop(w.err)
	}
}

func (t *txn) full() bool { return t.batch.Len() >= maxBatch || len(t.writes) >= maxWrites }

// finish writes the changed heads and says what the batch holds.
func (t *txn) finish() *flight {
	f := &flight{batch: t.batch, writes: t.writes, keys: t.keys, landed: make(chan struct{})}
	f.last = make(map[*head]uint64, len(t.heads))
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for box, h := range t.heads {
		_ = t.batch.Set(headKey(box), h.marshal(), nil)
		f.last[h] = h.last
	}
	t.writeTally()
	for _, key := range t.keys {
		t.s.keys[key] = f
	}
	return f
}

// get reads a record as this batch leaves it; nil if it is not there.
func (t *txn) get(key []byte) ([]byte, error) {
	if val, ok := t.over[string(key)]; ok {
		return val, nil
	}
	return t.s.get(key)
}

// set writes a record that later changes in this batch may read. Setting in a
// batch of this engine cannot fail.
func (t *txn) set(key, val []byte) {
	t.over[string(key)] = val
	_ = t.batch.Set(key, val, nil)
}

// remove deletes a record that later changes in this batch may read.
func (t *txn) remove(key []byte) {
	t.over[string(key)] = nil
	_ = t.batch.Delete(key, nil)
}

// head returns the head of an open mailbox, or ErrNoBox or ErrGone.
func (t *txn) head(box store.Box) (*head, error) { return t.s.head(box) }

// change marks a head for writing. It stays in memory until it has landed.
func (t *txn) change(box store.Box, h *head) {
	if _, ok := t.heads[box]; !ok {
		t.heads[box] = h
		h.flights++
	}
}

// head returns the head of an open mailbox, or ErrNoBox or ErrGone. The caller
// holds mu.
func (s *Store) head(box store.Box) (*head, error) {
	h := s.heads.get(box)
	if h == nil {
		b, err := s.get(headKey(box))
		if err != nil {
			return nil, err
		}
		if b == nil {
			return nil, store.ErrNoBox
		}
		if h, err = parseHead(b); err != nil {
			return nil, err
		}
		s.heads.put(box, h)
	}
	if h.gone {
		return nil, store.ErrGone
	}
	return h, nil
}
