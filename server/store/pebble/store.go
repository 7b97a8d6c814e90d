// Package pebble is the store that posthornd runs on: one directory, one
// process, the Pebble engine, and a group commit in front of it. README.md
// beside this file follows one envelope through it.
//
// Three goroutines work for a Store. The committer (commit.go) is the only one
// that changes mailboxes: it takes queued writes, judges each against what the
// ones before it left, and gathers them in a batch. The flusher waits until the
// disk has that batch and then answers all of its writers at once; meanwhile
// the committer builds the next. The sweeper is whoever calls Sweep.
package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
)

// Options tune a Store. The zero value is right for a server.
type Options struct {
	FS       vfs.FS        // file system; nil: the disk
	AckDelay time.Duration // how long acks are gathered; 0: 200 ms
	Heads    int           // mailbox heads kept in memory; 0: 65,536
	Cache    int64         // block cache in bytes; 0: 64 MiB
	Log      *slog.Logger  // engine trouble; nil: none
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.AckDelay == 0 {
		o.AckDelay = 200 * time.Millisecond
	}
	if o.Heads == 0 {
		o.Heads = 1 << 16
	}
	if o.Cache == 0 {
		o.Cache = 64 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store is a store.Store on a directory.
type Store struct {
	db      *pebble.DB
	freezer *freezer
	dir     string
	opts    Options
	version uint32 // of the format, when it was opened to be read only

	gate   sync.RWMutex // held for reading by every call, for writing by Close
	closed bool

	queue    chan *write   // to the committer
	slots    chan struct{} // batches that may be on their way to the disk
	batches  chan *flight  // from the committer to the flusher
	quit     chan struct{} // closed by Close
	finished chan struct{} // closed when committer and flusher are through
	stopped  chan struct{} // closed at the first disk failure
	stopOnce sync.Once
	cause    error // why; set before stopped is closed

	mu         sync.Mutex // the fields below; never held while the disk syncs
	heads      *headCache
	repeats    *repeatCache
	acks       map[store.Box]uint64 // acks that are not applied yet
	nodes      map[store.Box]string // who is attached where
	tally      tally                // what Stats answers
	keys       map[string]*flight   // directory keys on their way to the disk
	checkpoint sync.Mutex           // held while one is made
	sweep      struct {
		sync.Mutex
		from store.Box // where the next Sweep begins
	}
}

var _ store.Store = (*Store)(nil)

// enter begins a call; every successful enter is followed by leave.
func (s *Store) enter() error {
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return store.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.gate.RUnlock() }

// Err says why writes are refused, if they are.
func (s *Store) Err() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.failure()
}

// failure is nil until the disk has failed, then ErrStopped with the cause.
func (s *Store) failure() error {
	select {
	case <-s.stopped:
		return fmt.Errorf("%w: %w", store.ErrStopped, s.cause)
	default:
		return nil
	}
}

// stop refuses all further writes because of err. The first one counts.
func (s *Store) stop(err error) {
	s.stopOnce.Do(func() {
		s.cause = err
		s.freezer.frozen.Store(true)
		close(s.stopped)
		s.opts.Log.Error("the store stops accepting writes until it is opened again", "error", err)
	})
}

// get reads one key of the engine; nil if it is not there.
func (s *Store) get(key []byte) ([]byte, error) {
	val, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, readError(err)
	}
	defer closer.Close()
	return append(make([]byte, 0, len(val)), val...), nil
}

// readError names damage by the contract's word for it.
func readError(err error) error {
	if errors.Is(err, pebble.ErrCorruption) {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return err
}

// Create opens a mailbox; see store.Store.
func (s *Store) Create(ctx context.Context, box store.Box, limits store.Limits) error {
	return s.commit(ctx, func(t *txn) error {
		h, err := t.head(box)
		switch {
		case errors.Is(err, store.ErrNoBox):
			t.change(box, t.s.heads.put(box, newHead(limits)))
			t.opened(1)
			return nil
		case err != nil:
			return err
		}
		h.limits = limits
		t.change(box, h)
		return nil
	})
}

// Drop deletes a mailbox for good; see store.Store.
func (s *Store) Drop(ctx context.Context, box store.Box) error {
	return s.commit(ctx, func(t *txn) error {
		h, err := t.head(box)
		if errors.Is(err, store.ErrGone) {
			return nil
		}
		if err != nil {
			return err
		}
		return t.drop(box, h)
	})
}

// Expired returns the count of expired envelopes; see store.Store.
func (s *Store) Expired(ctx context.Context, box store.Box) (uint64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := s.head(box)
	if err != nil {
		return 0, err
	}
	return h.expired, ctx.Err()
}

// ClearExpired takes n off the count; see store.Store.
func (s *Store) ClearExpired(ctx context.Context, box store.Box, n uint64) error {
	return s.commit(ctx, func(t *txn) error {
		h, err := t.head(box)
		if err != nil || h.expired == 0 {
			return err
		}
		h.expired -= min(n, h.expired)
		t.change(box, h)
		return nil
	})
}
