package pebble

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// maxBatch is when a batch is full: large enough for hundreds of envelopes
	// of a kilobyte, small beside the 32 MiB memtable that it must fit.
	maxBatch = 2 << 20
	// maxWrites bounds a batch of writes that carry next to nothing.
	maxWrites = 4096
	// queued is how many writers may wait in line before the next one blocks.
	queued = 1024
	// inFlight is how many batches may be on their way to the disk. With one,
	// the next is built during the sync and goes out the moment it ends.
	inFlight = 1
)

// write is one caller's change, waiting for its turn.
type write struct {
	run  func(*txn) error // called by the committer under Store.mu
	err  error            // its result, valid once done is closed
	done chan struct{}    // closed when the batch it went into is durable
}

// flight is a batch on its way to the disk.
type flight struct {
	batch  *pebble.Batch
	writes []*write
	heads  []change      // mailboxes it changes
	keys   []string      // directory keys it writes
	landed chan struct{} // closed when durable
}

// commit runs a change in the committer and waits until it is durable.
func (s *Store) commit(ctx context.Context, run func(*txn) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	w, err := s.submit(ctx, run)
	if err != nil {
		return err
	}
	return s.await(ctx, w)
}

// submit queues a change. The caller is between enter and leave.
func (s *Store) submit(ctx context.Context, run func(*txn) error) (*write, error) {
	if err := s.failure(); err != nil {
		return nil, err
	}
	w := &write{run: run, done: make(chan struct{})}
	select { // asking one channel costs less than asking three
	case s.queue <- w:
		return w, nil
	default:
	}
	select {
	case s.queue <- w:
		return w, nil
	case <-s.stopped:
		return nil, s.failure()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// await returns the result of a change once it is durable.
func (s *Store) await(ctx context.Context, w *write) error {
	select {
	case <-w.done:
		return w.err
	case <-s.stopped:
		return s.failure()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// runCommitter turns queued writes into batches until the store is closed or
// its disk has failed.
func (s *Store) runCommitter() {
	defer close(s.batches)
	tick := time.NewTicker(s.opts.AckDelay)
	defer tick.Stop()
	for {
		select {
		case w := <-s.queue:
			s.fill(s.begin(), w)
		case <-tick.C:
			s.applyAcks()
		case <-s.stopped:
			return
		case <-s.quit:
			s.drain()
			return
		}
	}
}

// fill builds a batch from w on: as long as the disk is busy, it takes in
// whatever arrives; then it sends the batch off.
func (s *Store) fill(t *txn, w *write) {
	t.take(w)
	for !t.full() {
		select {
		case w := <-s.queue:
			t.take(w)
			continue
		default:
		}
		select {
		case w := <-s.queue:
			t.take(w)
		case s.slots <- struct{}{}:
			s.send(t)
			return
		case <-s.stopped:
			return
		}
	}
	select {
	case s.slots <- struct{}{}:
		s.send(t)
	case <-s.stopped:
	}
}

// drain commits what is left when the store closes. Nobody queues any more.
func (s *Store) drain() {
	for {
		select {
		case w := <-s.queue:
			s.fill(s.begin(), w)
			continue
		default:
		}
		break
	}
	for s.applyAcks() {
	}
}

// send gives a batch to the engine without waiting for its sync. The caller
// holds a slot, which the flusher gives back.
func (s *Store) send(t *txn) {
	if s.failure() != nil {
		return // a change in it may have been cut short
	}
	f := t.finish()
	if !f.batch.Empty() {
		if err := s.db.ApplyNoSyncWait(f.batch, pebble.Sync); err != nil {
			s.stop(err)
			return
		}
	}
	select {
	case s.batches <- f:
	case <-s.stopped:
	}
}

// runFlusher answers the writers of each batch once the disk has it. Batches
// come in commit order, so an answer also vouches for every batch before it.
func (s *Store) runFlusher() {
	defer close(s.finished)
	for f := range s.batches {
		if err := s.land(f); err != nil {
			s.stop(err)
			return
		}
		<-s.slots
		for _, w := range f.writes {
			close(w.done)
		}
	}
}

// land waits for the sync of a batch and makes its content readable.
func (s *Store) land(f *flight) error {
	if !f.batch.Empty() {
		if err := f.batch.SyncWait(); err != nil {
			return err
		}
	}
	if err := f.batch.Close(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range f.heads {
		c.head.durable = max(c.head.durable, c.last)
		c.head.flights--
	}
	for _, key := range f.keys {
		if s.keys[key] == f {
			delete(s.keys, key)
		}
	}
	close(f.landed)
	return nil
}
