package relocate

import (
	"context"
	"errors"

	"github.com/posthorn/posthorn/server/store"
)

// ErrNoCheckpoint: the store in use has no files to copy, as a database has.
var ErrNoCheckpoint = errors.New("relocate: the store in use makes no checkpoints")

// Checkpoint has the store in use copy itself into a folder. ErrNoCheckpoint.
func (s *Store) Checkpoint(ctx context.Context, dir string) error {
	return s.reading(func(now store.Store) error {
		if c, ok := now.(interface {
			Checkpoint(context.Context, string) error
		}); ok {
			return c.Checkpoint(ctx, dir)
		}
		return ErrNoCheckpoint
	})
}
