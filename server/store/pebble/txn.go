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
	over   map[string][]byte // records set in this batch; nil: deleted
	heads  []change          // heads changed in this batch
	keys   []string          // directory keys changed in this batch

	minutes map[uint64]bool // counters changed in this batch
	planned plan            // of the append that is being judged; kept for its memory
}

// change is what a batch did to a mailbox.
type change struct {
	box  store.Box
	head *head
	last uint64 // head.last in this batch
}

func (s *Store) begin() *txn {
	return &txn{
		s:     s,
		batch: s.db.NewBatch(),
		over:  make(map[string][]byte),

		minutes: make(map[uint64]bool),
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

// finish writes the heads that are due and says what the batch holds.
func (t *txn) finish() *flight {
	f := &flight{batch: t.batch, writes: t.writes, heads: t.heads, keys: t.keys, landed: make(chan struct{})}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for i := range f.heads {
		c := &f.heads[i]
		if c.last = c.head.last; c.head.due {
			t.save(c.box, c.head)
		}
		c.head.changed = false
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

// touch notes, before anything is changed, that this batch changes a mailbox.
// Its head stays in memory until the batch has landed.
func (t *txn) touch(box store.Box, h *head) {
	if !h.changed {
		h.changed, h.before = true, h.last
		t.heads = append(t.heads, change{box: box, head: h})
		h.flights++
	}
}

// change is touch, and marks the head for writing.
func (t *txn) change(box store.Box, h *head) {
	t.touch(box, h)
	h.due = true
}

// head returns the head of an open mailbox, or ErrNoBox or ErrGone. The caller
// holds mu.
func (s *Store) head(box store.Box) (*head, error) {
	h := s.heads.get(box)
	if h == nil {
		var err error
		if h, err = s.load(box); err != nil {
			return nil, err
		}
		s.heads.put(box, h)
	}
	if h.gone {
		return nil, store.ErrGone
	}
	return h, nil
}
