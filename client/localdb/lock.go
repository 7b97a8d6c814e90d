package localdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/zalando/go-keyring"
)

// lock is the right to use a profile. The operating system takes it back when
// the process ends, however it ends.
type lock struct{ file *flock.Flock }

// withLock takes the lock of dir and keeps it if open succeeds. create
// says whether the folder may be created.
func withLock(dir string, create bool, open func(*lock) (*DB, error)) (*DB, error) {
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("localdb: make the profile's folder: %w", err)
		}
	}
	// Whatever the umask or an earlier program did: nobody else looks in here.
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("localdb: close the profile's folder to others: %w", err)
	}
	held := &lock{flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))}
	locked, err := held.file.TryLock()
	if err != nil {
		return nil, fmt.Errorf("localdb: lock the profile: %w", err)
	}
	if !locked {
		return nil, ErrLocked
	}
	db, err := open(held)
	if err != nil {
		return nil, errors.Join(err, held.release())
	}
	return db, nil
}

func (l *lock) release() error { return l.file.Close() }

// Remove deletes the profile in dir, and the folder if nothing else is in it.
// The profile must be closed. What is not a profile's file stays.
func Remove(dir string) error {
	if w, err := readKeyFile(dir); err == nil && w.Source == fromKeyStore {
		_ = keyring.Delete(keyStoreService, w.Entry) // useless without the profile
	}
	for _, name := range []string{keyFile, dataFile, dataFile + "-journal", lockFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("localdb: remove the profile: %w", err)
		}
	}
	_ = os.Remove(dir) // fails when other files are in it, and then stays
	return nil
}
