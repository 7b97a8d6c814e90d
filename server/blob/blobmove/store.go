// Package blobmove is a place for attachments that can be exchanged for another
// one while a server runs on it. What is there is copied and compared while
// uploads go on; only for the last of it, and the exchange, calls that change
// anything are refused for a moment. move.go copies, and store.go exchanges.
package blobmove

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/posthorn/posthorn/server/blob"
)

// ErrPaused: attachments are being moved to another place. Nothing was written;
// the same call works a moment later.
var ErrPaused = errors.New("blobmove: the attachments are being moved")

// ErrMoving: a move is in progress already. Nothing was done.
var ErrMoving = errors.New("blobmove: the attachments are being moved already")

// Store passes every call on to the place in use.
type Store struct {
	use    sync.RWMutex // held for reading by every call, for writing to exchange
	now    blob.Store
	writes sync.RWMutex // held for reading by writes, for writing to pause them
	paused bool

	mu      sync.Mutex
	moving  bool
	changed map[blob.ID]struct{} // finished or removed since the move looked last
}

var _ blob.Store = (*Store)(nil)

// New makes a Store on one place to begin with.
func New(s blob.Store) *Store { return &Store{now: s} }

// Move brings every finished file to another place, which stays the caller's,
// and goes on with it, once commit has made that known for good. On any error
// the place from before stays in use; a second move does not copy again what is
// there and right. The place from before is returned, for the caller to close.
// Files of an upload that is not finished stay behind: the next part of one
// finds no beginning, so its client begins it again.
//
// Errors: ErrMoving, ErrDiffers, *DamagedError, and those of commit.
func (s *Store) Move(ctx context.Context, to blob.Store, plan Plan, commit func() error) (sum Sum, old blob.Store, err error) {
	if err := s.begin(); err != nil {
		return sum, nil, err
	}
	defer s.end()
	m := &move{from: s.current(), to: to, plan: plan, changed: s.isChanged}
	if err := m.everything(ctx); err != nil {
		return m.sum, nil, err
	}
	for range 8 { // uploads that were finished meanwhile, then those that were meanwhile
		some := s.take()
		if err := m.settle(ctx, some); err != nil {
			return m.sum, nil, err
		}
		if len(some) == 0 {
			break
		}
	}
	s.pause(true)
	defer s.pause(false)
	if err := m.settle(ctx, s.take()); err != nil {
		return m.sum, nil, err
	}
	if err := errors.Join(m.verdict(), ctx.Err()); err != nil {
		return m.sum, nil, err
	}
	if err := commit(); err != nil {
		return m.sum, nil, err
	}
	s.use.Lock()
	defer s.use.Unlock()
	s.now = to
	return m.sum, m.from, nil
}

func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moving {
		return ErrMoving
	}
	s.moving, s.changed = true, make(map[blob.ID]struct{})
	return nil
}

func (s *Store) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moving, s.changed = false, nil
}

// take returns what has changed since the last call.
func (s *Store) take() map[blob.ID]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	some := s.changed
	s.changed = make(map[blob.ID]struct{})
	return some
}

func (s *Store) isChanged(id blob.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.changed[id]
	return ok
}

// note remembers a change for the move that is in progress, if one is.
func (s *Store) note(id blob.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moving {
		s.changed[id] = struct{}{}
	}
}

// pause waits for the writes that have begun, and refuses the next ones.
func (s *Store) pause(paused bool) {
	s.writes.Lock()
	defer s.writes.Unlock()
	s.paused = paused
}

func (s *Store) current() blob.Store {
	s.use.RLock()
	defer s.use.RUnlock()
	return s.now
}

// reading runs a call that writes nothing.
func (s *Store) reading(f func(blob.Store) error) error {
	s.use.RLock()
	defer s.use.RUnlock()
	return f(s.now)
}

// writing runs a call that may write.
func (s *Store) writing(f func(blob.Store) error) error {
	s.writes.RLock()
	defer s.writes.RUnlock()
	if s.paused {
		return ErrPaused
	}
	return s.reading(f)
}

// WritePart passes on; see blob.Store.
func (s *Store) WritePart(ctx context.Context, id blob.ID, n int, data []byte) error {
	return s.writing(func(now blob.Store) error { return now.WritePart(ctx, id, n, data) })
}

// Finish passes on; see blob.Store. A move is told even when it fails: whether
// the file is there is looked up then.
func (s *Store) Finish(ctx context.Context, id blob.ID, size uint64) error {
	return s.writing(func(now blob.Store) error {
		defer s.note(id)
		return now.Finish(ctx, id, size)
	})
}

// Size passes on; see blob.Store.
func (s *Store) Size(ctx context.Context, id blob.ID) (size uint64, err error) {
	err = s.reading(func(now blob.Store) error { size, err = now.Size(ctx, id); return err })
	return size, err
}

// Read passes on; see blob.Store.
func (s *Store) Read(ctx context.Context, id blob.ID, offset uint64, length int) (b []byte, err error) {
	err = s.reading(func(now blob.Store) error { b, err = now.Read(ctx, id, offset, length); return err })
	return b, err
}

// Remove passes on; see blob.Store.
func (s *Store) Remove(ctx context.Context, id blob.ID) error {
	return s.writing(func(now blob.Store) error {
		defer s.note(id)
		return now.Remove(ctx, id)
	})
}

// Sweep passes on; see blob.Store. What it removes during a move has its age at
// the other place too, and goes there at the next sweep. It does nothing in the
// last moment of a move.
func (s *Store) Sweep(ctx context.Context, finished, unfinished time.Time) (n int, err error) {
	err = s.writing(func(now blob.Store) error { n, err = now.Sweep(ctx, finished, unfinished); return err })
	if errors.Is(err, ErrPaused) {
		return 0, ctx.Err()
	}
	return n, err
}

// List passes on; see blob.Store.
func (s *Store) List(ctx context.Context, visit func(blob.File) error) error {
	return s.reading(func(now blob.Store) error { return now.List(ctx, visit) })
}

// Finished passes on; see blob.Store.
func (s *Store) Finished(ctx context.Context, id blob.ID) (at time.Time, err error) {
	err = s.reading(func(now blob.Store) error { at, err = now.Finished(ctx, id); return err })
	return at, err
}

// Date passes on; see blob.Store.
func (s *Store) Date(ctx context.Context, id blob.ID, finished time.Time) error {
	return s.writing(func(now blob.Store) error {
		defer s.note(id)
		return now.Date(ctx, id, finished)
	})
}

// Close closes the place in use. No move may be in progress.
func (s *Store) Close() error { return s.reading(func(now blob.Store) error { return now.Close() }) }
