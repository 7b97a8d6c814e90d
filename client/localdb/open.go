package localdb

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	sqlite3 "github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	_ "github.com/ncruces/go-sqlite3/vfs/adiantum" // encrypts every page

	"github.com/posthorn/posthorn/internal/secret"
)

// pragmas are set on the connection after the key. The journal is emptied and
// deleted data overwritten, so that old session states do not stay on the disk.
const pragmas = `
PRAGMA temp_store = MEMORY;
PRAGMA journal_mode = TRUNCATE;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA foreign_keys = ON;
`

// openDB opens or makes the database of a profile whose lock is held.
func openDB(dir string, master *secret.Key, held *lock) (*DB, error) {
	rowKey, err := derive(master, rowKeyInfo)
	if err != nil {
		return nil, err
	}
	defer rowKey.Wipe()
	secret.Created("row key", rowKey[:])
	rows, err := newSealer(&rowKey)
	if err != nil {
		return nil, err
	}
	pool, err := connect(dir, master)
	if err != nil {
		return nil, err
	}
	db := &DB{sql: pool, lock: held, rows: rows}
	err = db.start(dir)
	if err == nil {
		// SQLite makes the journal of an empty database itself, as the umask
		// allows. From now on it is only emptied.
		err = private(filepath.Join(dir, dataFile+"-journal"))
	}
	if err != nil {
		return nil, errors.Join(translate(context.Background(), err), pool.Close())
	}
	return db, nil
}

// connect opens the file with one connection, which is the only one ever: the
// transactions of a profile run one at a time.
func connect(dir string, master *secret.Key) (*sql.DB, error) {
	for _, name := range []string{dataFile, dataFile + "-journal"} {
		if err := private(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	absolute, err := filepath.Abs(filepath.Join(dir, dataFile))
	if err != nil {
		return nil, err
	}
	pageKey, err := derive(master, pageKeyInfo)
	if err != nil {
		return nil, err
	}
	secret.Created("page key", pageKey[:])
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute), RawQuery: "vfs=adiantum&_txlock=immediate"}
	pool, err := driver.Open(file.String(), func(c *sqlite3.Conn) error {
		var err error
		secret.Do(func() { err = c.Exec("PRAGMA hexkey = '" + hex.EncodeToString(pageKey[:]) + "'") })
		if err != nil {
			return err
		}
		return c.Exec(pragmas)
	})
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	pool.SetConnMaxIdleTime(0)
	return pool, nil
}

// private makes sure that a file exists and that only its owner may open it.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("localdb: open %s: %w", filepath.Base(path), err)
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// start brings the schema up to date and finds out whether the files are the
// ones that were written here last.
func (db *DB) start(dir string) error {
	return db.Update(context.Background(), func(tx *Tx) error {
		if err := tx.migrate(); err != nil {
			return err
		}
		restored, err := tx.recognise(dir)
		db.restored = restored
		return err
	})
}
