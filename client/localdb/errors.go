package localdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	sqlite3 "github.com/ncruces/go-sqlite3"
)

// The reasons for which a profile cannot be made, opened or changed. Each
// leaves the files as they were.
var (
	// ErrLocked says that another process uses the profile.
	ErrLocked = errors.New("localdb: the profile is in use by another process; close that one first")
	// ErrNoProfile says that the folder holds no profile.
	ErrNoProfile = errors.New("localdb: no profile in this folder; register first")
	// ErrProfileExists says that Create found a profile, which it did not touch.
	ErrProfileExists = errors.New("localdb: the folder already holds a profile; nothing was changed")
	// ErrNoPassphrase says that a passphrase is needed and none was supplied.
	ErrNoPassphrase = errors.New("localdb: a passphrase is needed to unlock the profile and none was given")
	// ErrWrongPassphrase says that the passphrase does not unwrap the key.
	ErrWrongPassphrase = errors.New("localdb: wrong passphrase; the profile stays locked")
	// ErrKeyStore says that the operating system's key store, which holds the
	// profile's key, did not hand it out.
	ErrKeyStore = errors.New("localdb: the system's key store did not give out the profile's key; unlock the key store and try again")
	// ErrCorrupt says that a file or a row is damaged or was tampered with.
	ErrCorrupt = errors.New("localdb: the profile is damaged")
	// ErrNewerSchema says that a later version of the program wrote the profile.
	ErrNewerSchema = errors.New("localdb: a newer version wrote this profile; update the program")
	// ErrFull says that the disk is full; the transaction was undone.
	ErrFull = errors.New("localdb: the disk is full; nothing was saved")
	// ErrNotFound says that the row does not exist.
	ErrNotFound = errors.New("localdb: not found")
)

// corrupt makes an ErrCorrupt that says what is damaged.
func corrupt(what string) error { return fmt.Errorf("%w: %s", ErrCorrupt, what) }

// translate turns SQLite's words for damage and for a full disk into this
// package's, and those for a transaction that ctx cut short into ctx's.
func translate(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && (errors.Is(err, sqlite3.INTERRUPT) || errors.Is(err, sql.ErrTxDone)):
		return fmt.Errorf("localdb: stopped before the end, nothing was saved: %w", ctx.Err())
	case errors.Is(err, sqlite3.CORRUPT), errors.Is(err, sqlite3.NOTADB):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	case errors.Is(err, sqlite3.FULL):
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
