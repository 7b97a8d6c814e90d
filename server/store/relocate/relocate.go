// Package relocate is a store that can be exchanged for another one while a
// server runs on it: what it holds is copied and compared, then calls go to the
// other. Meanwhile reads go on and writes are refused for a moment.
package relocate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/posthorn/posthorn/server/store"
)

// ErrPaused is why writes are refused during a move, beside store.ErrStopped.
// Nothing was written; the same call works a moment later.
var ErrPaused = errors.New("relocate: the store is being moved")

// ErrDiffers: what arrived is not what was sent. The old store stays in use.
var ErrDiffers = errors.New("relocate: the copy is not what was copied, nothing has changed")

var errWrite = fmt.Errorf("%w: %w: %w", store.ErrStopped, ErrPaused, store.ErrPassing)

// Store passes every call on to the store in use.
type Store struct {
	use    sync.RWMutex // held for reading by every call, for writing to exchange
	now    store.Store
	writes sync.RWMutex // held for reading by writes, for writing to pause them
	paused bool

	mu    sync.Mutex
	nodes map[store.Box]string // who is attached where, for the other store
}

var _ store.Store = (*Store)(nil)

// New makes a Store on one to begin with.
func New(s store.Store) *Store { return &Store{now: s, nodes: make(map[store.Box]string)} }

// Move lets copy bring everything to another store, while nobody writes to this
// one, and goes on with that other store. When copy fails, everything is as it
// was. The store from before is returned, for the caller to close.
func (s *Store) Move(ctx context.Context, copy func(ctx context.Context, from store.Store) (store.Store, error)) (old store.Store, err error) {
	if err := s.pause(); err != nil {
		return nil, err
	}
	defer s.resume()
	s.use.RLock()
	from := s.now
	s.use.RUnlock()
	to, err := copy(ctx, from)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	for box, node := range s.nodes {
		_ = to.Attach(ctx, box, node) // presence is a hint
	}
	s.mu.Unlock()
	s.use.Lock()
	defer s.use.Unlock()
	s.now = to
	return from, nil
}

// pause waits for the writes that have begun, and refuses the next ones.
func (s *Store) pause() error {
	s.writes.Lock()
	defer s.writes.Unlock()
	if s.paused {
		return errWrite
	}
	s.paused = true
	return nil
}

func (s *Store) resume() {
	s.writes.Lock()
	defer s.writes.Unlock()
	s.paused = false
}

// reading runs a call that writes nothing.
func (s *Store) reading(f func(store.Store) error) error {
	s.use.RLock()
	defer s.use.RUnlock()
	return f(s.now)
}

// writing runs a call that may write.
func (s *Store) writing(f func(store.Store) error) error {
	s.writes.RLock()
	defer s.writes.RUnlock()
	if s.paused {
		return errWrite
	}
	return s.reading(f)
}

// Append passes on; see store.Store.
func (s *Store) Append(ctx context.Context, envs []store.Envelope) (out []store.Appended, err error) {
	err = s.writing(func(now store.Store) error { out, err = now.Append(ctx, envs); return err })
	return out, err
}

// Submit passes on; see store.Store. A move waits until it is waited for.
func (s *Store) Submit(ctx context.Context, envs []store.Envelope) (store.Pending, error) {
	s.writes.RLock()
	s.use.RLock()
	p, err := s.submit(ctx, envs)
	if err != nil {
		s.release()
		return nil, err
	}
	return &pending{p, s}, nil
}

func (s *Store) submit(ctx context.Context, envs []store.Envelope) (store.Pending, error) {
	if s.paused {
		return nil, errWrite
	}
	return s.now.Submit(ctx, envs)
}

func (s *Store) release() {
	s.use.RUnlock()
	s.writes.RUnlock()
}

// pending is an Append under way that keeps its store in use.
type pending struct {
	store.Pending
	s *Store
}

// Wait passes on, and lets the store go; see store.Pending.
func (p *pending) Wait(ctx context.Context) ([]store.Appended, error) {
	defer p.s.release()
	return p.Pending.Wait(ctx)
}

// Read passes on; see store.Store.
func (s *Store) Read(ctx context.Context, box store.Box, after uint64, max, maxBytes int) (msgs []store.Msg, head uint64, err error) {
	err = s.reading(func(now store.Store) error { msgs, head, err = now.Read(ctx, box, after, max, maxBytes); return err })
	return msgs, head, err
}

// Ack passes on; see store.Store.
func (s *Store) Ack(ctx context.Context, acks []store.BoxSeq) error {
	return s.writing(func(now store.Store) error { return now.Ack(ctx, acks) })
}

// Attach passes on, and remembers; see store.Store.
func (s *Store) Attach(ctx context.Context, box store.Box, node string) error {
	return s.writing(func(now store.Store) error {
		err := now.Attach(ctx, box, node)
		if err == nil {
			s.mu.Lock()
			s.nodes[box] = node
			s.mu.Unlock()
		}
		return err
	})
}

// Detach passes on, and forgets; see store.Store.
func (s *Store) Detach(ctx context.Context, box store.Box, node string) error {
	s.mu.Lock()
	if s.nodes[box] == node {
		delete(s.nodes, box)
	}
	s.mu.Unlock()
	return s.reading(func(now store.Store) error { return now.Detach(ctx, box, node) })
}

// Create passes on; see store.Store.
func (s *Store) Create(ctx context.Context, box store.Box, limits store.Limits) error {
	return s.writing(func(now store.Store) error { return now.Create(ctx, box, limits) })
}

// Drop passes on; see store.Store.
func (s *Store) Drop(ctx context.Context, box store.Box) error {
	return s.writing(func(now store.Store) error { return now.Drop(ctx, box) })
}

// Sweep passes on; see store.Store.
func (s *Store) Sweep(ctx context.Context, olderThan time.Time, budget int) (expired int, done bool, err error) {
	err = s.writing(func(now store.Store) error { expired, done, err = now.Sweep(ctx, olderThan, budget); return err })
	return expired, done, err
}

// Expired passes on; see store.Store.
func (s *Store) Expired(ctx context.Context, box store.Box) (n uint64, err error) {
	err = s.reading(func(now store.Store) error { n, err = now.Expired(ctx, box); return err })
	return n, err
}

// ClearExpired passes on; see store.Store.
func (s *Store) ClearExpired(ctx context.Context, box store.Box, n uint64) error {
	return s.writing(func(now store.Store) error { return now.ClearExpired(ctx, box, n) })
}

// Get passes on; see store.Store.
func (s *Store) Get(ctx context.Context, key string) (val []byte, ver uint64, err error) {
	err = s.reading(func(now store.Store) error { val, ver, err = now.Get(ctx, key); return err })
	return val, ver, err
}

// CAS passes on; see store.Store.
func (s *Store) CAS(ctx context.Context, key string, want uint64, val []byte) (ver uint64, err error) {
	err = s.writing(func(now store.Store) error { ver, err = now.CAS(ctx, key, want, val); return err })
	return ver, err
}

// Note passes on; see store.Store.
func (s *Store) Note(ctx context.Context, key string, want uint64, val []byte) (ver uint64, err error) {
	err = s.writing(func(now store.Store) error { ver, err = now.Note(ctx, key, want, val); return err })
	return ver, err
}

// Scan passes on; see store.Store.
func (s *Store) Scan(ctx context.Context, prefix, after string, max int) (found []store.Entry, err error) {
	err = s.reading(func(now store.Store) error { found, err = now.Scan(ctx, prefix, after, max); return err })
	return found, err
}

// Stats passes on; see store.Store.
func (s *Store) Stats(ctx context.Context) (stats store.Stats, err error) {
	err = s.reading(func(now store.Store) error { stats, err = now.Stats(ctx); return err })
	return stats, err
}

// Put passes on; see store.Store.
func (s *Store) Put(ctx context.Context, pool string, vals ...[]byte) error {
	return s.writing(func(now store.Store) error { return now.Put(ctx, pool, vals...) })
}

// Take passes on; see store.Store.
func (s *Store) Take(ctx context.Context, pool string) (val []byte, err error) {
	err = s.writing(func(now store.Store) error { val, err = now.Take(ctx, pool); return err })
	return val, err
}

// SyncLatency passes on, to a store that measures; see store.Timed.
func (s *Store) SyncLatency() (l store.Latency) {
	_ = s.reading(func(now store.Store) error {
		if timed, ok := now.(store.Timed); ok {
			l = timed.SyncLatency()
		}
		return nil
	})
	return l
}

// Err says why writes are refused, if they are.
func (s *Store) Err() error { return s.writing(func(now store.Store) error { return now.Err() }) }

// Close closes the store in use. No move may be in progress.
func (s *Store) Close() error { return s.reading(func(now store.Store) error { return now.Close() }) }

// Source is a store whose content can be shown.
type Source interface {
	Walk(ctx context.Context, v store.Visitor) error
}

// Loader fills an empty store.
type Loader interface {
	store.Visitor
	Flush() error // writes what is held back
}

// Copy shows the loader of an empty store everything that another one holds,
// and compares what arrived with what was sent. ErrDiffers.
func Copy(ctx context.Context, from, to Source, fill Loader) (store.Sum, error) {
	sent := store.NewSummer()
	if err := from.Walk(ctx, store.Both(sent, fill)); err != nil {
		return store.Sum{}, err
	}
	if err := fill.Flush(); err != nil {
		return store.Sum{}, err
	}
	arrived := store.NewSummer()
	if err := to.Walk(ctx, arrived); err != nil {
		return store.Sum{}, err
	}
	if sent.Sum() != arrived.Sum() {
		return store.Sum{}, ErrDiffers
	}
	return sent.Sum(), nil
}
