package localdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/posthorn/posthorn/internal/secret"
)

const (
	lockFile = "lock"
	dataFile = "posthorn.db"
)

// DB is an open profile. It holds the profile's lock until Close.
type DB struct {
	sql      *sql.DB
	lock     *lock
	rows     *sealer
	restored bool
}

// Tx is a transaction on the profile. Its methods are in the files named after
// what they store. Keys that it reads out of sealed columns are wiped when it
// ends, so parse them before that.
type Tx struct {
	ctx    context.Context
	sql    *sql.Tx
	rows   *sealer
	opened [][]byte // keys in the clear, until the end
}

// Format shows none of the keys that the transaction has opened.
func (tx *Tx) Format(f fmt.State, _ rune) { secret.Redact(f) }

// Unlock says where the key that protects a profile comes from.
type Unlock struct {
	// Passphrase is asked only when the key store does not hold the key; create
	// is true when a new passphrase is to be chosen. Nil means that there is
	// nobody to ask, which gives ErrNoPassphrase.
	Passphrase func(create bool) ([]byte, error)
	// UseKeyStore lets Create put the key into the operating system's key store
	// when there is one that works. Open goes by what Create chose.
	UseKeyStore bool
	// KDF is the cost of a new passphrase; zero means DefaultKDF.
	KDF KDF
}

// Create makes a new profile in dir, which it creates if needed, and opens it.
// An existing profile gives ErrProfileExists and is not touched.
func Create(dir string, unlock Unlock) (*DB, error) {
	return withLock(dir, true, func(held *lock) (*DB, error) {
		if _, err := os.Lstat(filepath.Join(dir, keyFile)); err == nil {
			return nil, ErrProfileExists
		}
		return create(dir, unlock, held)
	})
}

// Open unlocks and opens the profile in dir. The errors are ErrNoProfile,
// ErrLocked, ErrNoPassphrase, ErrWrongPassphrase, ErrKeyStore, ErrNewerSchema,
// ErrCorrupt and those of the file system.
func Open(dir string, unlock Unlock) (*DB, error) {
	if _, err := os.Lstat(filepath.Join(dir, keyFile)); errors.Is(err, os.ErrNotExist) {
		return nil, ErrNoProfile
	}
	return withLock(dir, false, func(held *lock) (*DB, error) {
		var master *secret.Key
		var err error
		secret.Do(func() { master, err = readMaster(dir, unlock) })
		if err != nil {
			return nil, err
		}
		defer master.Wipe()
		if _, err := os.Lstat(filepath.Join(dir, dataFile)); err != nil {
			return nil, corrupt(dataFile + " is missing")
		}
		return openDB(dir, master, held)
	})
}

// create writes the database first and the key file last: a profile exists
// once key.json does, and a database left by an interrupted attempt is
// unreadable for want of its key and goes.
func create(dir string, unlock Unlock, held *lock) (*DB, error) {
	for _, name := range []string{dataFile, dataFile + "-journal"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("localdb: clear an unfinished profile: %w", err)
		}
	}
	var master *secret.Key
	var wrapped *wrappedKey
	var err error
	secret.Do(func() { master, wrapped, err = newMaster(unlock) })
	if err != nil {
		return nil, err
	}
	defer master.Wipe()
	db, err := openDB(dir, master, held)
	if err != nil {
		return nil, err
	}
	if err := wrapped.write(dir); err != nil {
		return nil, errors.Join(err, db.sql.Close())
	}
	return db, nil
}

// Close ends the use of the profile and releases its lock. Transactions that
// still run are finished first.
func (db *DB) Close() error {
	return errors.Join(db.sql.Close(), db.lock.release())
}

// Restored reports that the profile's files are not the ones that this
// machine wrote last: the folder was copied, or a backup was put in its place.
// Session states may then be older than what was already sent under them, so
// the caller must not send on any stored session, and opens new ones (A16).
func (db *DB) Restored() bool { return db.restored }

// Update runs do in a read-write transaction. When do returns nil and Update
// returns nil, everything do wrote is on the disk; otherwise nothing is. When
// ctx ends first, the error is ctx's.
func (db *DB) Update(ctx context.Context, do func(*Tx) error) error {
	return db.run(ctx, nil, do)
}

// View runs do in a transaction that refuses to write.
func (db *DB) View(ctx context.Context, do func(*Tx) error) error {
	return db.run(ctx, &sql.TxOptions{ReadOnly: true}, do)
}

func (db *DB) run(ctx context.Context, opts *sql.TxOptions, do func(*Tx) error) error {
	begun, err := db.sql.BeginTx(ctx, opts)
	if err != nil {
		return translate(ctx, err)
	}
	// After a commit the rollback does nothing; after an error or a panic in
	// do it undoes the transaction.
	defer begun.Rollback() //nolint:errcheck // the first error is the one to tell
	tx := &Tx{ctx: ctx, sql: begun, rows: db.rows}
	defer func() { secret.Wipe(tx.opened...) }()
	if err := do(tx); err != nil {
		return translate(ctx, err)
	}
	return translate(ctx, begun.Commit())
}
