package pebble

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Checkpoint makes a copy of the store in a folder that does not exist yet, as
// it is at one moment after the call began: everything that was durable before
// is in it. The folder lies on the same file system, so that most files are
// linked and not copied; whoever asked for it removes it. Writers go on
// meanwhile. A disk that has no room for the copy ends the checkpoint and
// nothing else. One checkpoint at a time. ErrStopped, ErrClosed.
func (s *Store) Checkpoint(_ context.Context, dir string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.failure(); err != nil {
		return err
	}
	s.checkpoint.Lock()
	defer s.checkpoint.Unlock()
	s.freezer.spare.Store(&dir)
	made := make(chan error, 1)
	go func() { made <- s.db.Checkpoint(dir, pebble.WithFlushedWAL()) }()
	select {
	case err := <-made:
		s.freezer.spare.Store(nil)
		if err != nil {
			return fmt.Errorf("store: no checkpoint was made: %w", readError(err))
		}
		return nil
	case <-s.stopped: // the engine waits for a disk that takes nothing any more
		return s.failure()
	}
}
