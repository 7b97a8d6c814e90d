package witness

import (
	"errors"
	"fmt"

	"github.com/gofrs/flock"
)

// ErrInUse: another process has the file.
var ErrInUse = errors.New("another witness runs on this file, nothing was started")

// Lock keeps other processes from the file of a witness until release is called.
// ErrInUse.
func Lock(file string) (release func() error, err error) {
	lock := flock.New(file+".lock", flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the file of the witness cannot be locked: %w", err)
	}
	if !held {
		return nil, ErrInUse
	}
	return lock.Unlock, nil
}
