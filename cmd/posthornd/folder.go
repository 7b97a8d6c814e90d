package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// What lies in the data folder.
const (
	storeFolder = "store"
	lockFile    = "posthornd.lock"
)

// errInUse says that another process has the data folder.
var errInUse = errors.New("the data folder is in use by another posthornd, nothing was done")

// claim makes the data folder if it is not there, closes it to other users, and
// locks it against a second process. A folder that was there keeps its mode:
// it may be a place that others share. What is in it is closed in any case.
func claim(folder string) (unlock func() error, err error) {
	if err := makePrivate(folder); err != nil {
		return nil, err
	}
	if unlock, err = lock(folder); err != nil {
		return nil, err
	}
	if err := makePrivate(filepath.Join(folder, storeFolder)); err != nil {
		return nil, errors.Join(err, unlock())
	}
	return unlock, nil
}

// claimExisting is claim for a folder that a server has used.
func claimExisting(folder string) (unlock func() error, err error) {
	if _, err := os.Stat(filepath.Join(folder, storeFolder)); err != nil {
		return nil, fmt.Errorf("no server has used this folder: %w", err)
	}
	return lock(folder)
}

func lock(folder string) (unlock func() error, err error) {
	lock := flock.New(filepath.Join(folder, lockFile), flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the data folder cannot be locked: %w", err)
	}
	if !held {
		return nil, errInUse
	}
	return lock.Unlock, nil
}

// makePrivate makes a folder that only its owner can enter, whatever the umask.
func makePrivate(folder string) error {
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("the data folder cannot be made: %w", err)
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		return fmt.Errorf("the data folder cannot be closed to others: %w", err)
	}
	return nil
}
