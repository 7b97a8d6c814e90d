package localdb

import (
	"database/sql"
	"encoding/binary"
	"errors"
)

// schemaV1 is the first version; migrate.go has what came after.
const schemaV1 = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE profile (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL, server TEXT NOT NULL,
	account BLOB NOT NULL, device BLOB NOT NULL, statements BLOB NOT NULL, seeds BLOB NOT NULL,
	created INTEGER NOT NULL, registered INTEGER NOT NULL);
CREATE TABLE prekeys (hash BLOB PRIMARY KEY, suite INTEGER NOT NULL, private BLOB NOT NULL,
	not_before INTEGER NOT NULL, not_after INTEGER NOT NULL, published INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE contacts (account BLOB PRIMARY KEY, name TEXT NOT NULL, statements BLOB NOT NULL,
	state INTEGER NOT NULL, suite INTEGER NOT NULL, first_seen INTEGER NOT NULL);
CREATE INDEX contacts_by_name ON contacts (name);
CREATE TABLE devices (device BLOB PRIMARY KEY, account BLOB NOT NULL,
	newest_bundle INTEGER NOT NULL, bundle BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX devices_by_account ON devices (account);
CREATE TABLE sessions (device BLOB NOT NULL, id BLOB NOT NULL, state BLOB NOT NULL, skipped BLOB NOT NULL,
	start_time INTEGER NOT NULL, superseded INTEGER NOT NULL, PRIMARY KEY (device, id));
CREATE TABLE messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, account BLOB NOT NULL,
	outgoing INTEGER NOT NULL, body TEXT NOT NULL, sent INTEGER NOT NULL, received INTEGER NOT NULL,
	shown INTEGER NOT NULL, level TEXT NOT NULL, size INTEGER NOT NULL, state INTEGER NOT NULL,
	UNIQUE (account, outgoing, id));
CREATE INDEX messages_by_id ON messages (id) WHERE outgoing = 1;
CREATE INDEX messages_unshown ON messages (seq) WHERE shown = 0 AND outgoing = 0;
CREATE TABLE outgoing (seq INTEGER PRIMARY KEY AUTOINCREMENT, envelope BLOB NOT NULL, device BLOB NOT NULL,
	account BLOB NOT NULL, payload BLOB NOT NULL, hash BLOB NOT NULL, content BLOB NOT NULL,
	kind INTEGER NOT NULL, created INTEGER NOT NULL, accepted INTEGER NOT NULL);
CREATE INDEX outgoing_pending ON outgoing (seq) WHERE accepted = 0;
CREATE INDEX outgoing_by_device ON outgoing (device, seq);
CREATE INDEX outgoing_by_content ON outgoing (content);
CREATE TABLE queued (content BLOB PRIMARY KEY, name TEXT NOT NULL, text BLOB NOT NULL, created INTEGER NOT NULL);
CREATE TABLE waiting (seq INTEGER PRIMARY KEY AUTOINCREMENT, device BLOB NOT NULL, account BLOB NOT NULL,
	session BLOB NOT NULL, hash BLOB NOT NULL, payload BLOB NOT NULL, received INTEGER NOT NULL,
	UNIQUE (device, hash));
CREATE TABLE replays (key BLOB PRIMARY KEY, bundle BLOB NOT NULL, device BLOB NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX replays_by_bundle ON replays (bundle);
CREATE INDEX replays_by_device ON replays (device, at);
CREATE TABLE envelopes (id BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE receipts (seq INTEGER PRIMARY KEY AUTOINCREMENT, account BLOB NOT NULL, device BLOB NOT NULL,
	content BLOB NOT NULL, UNIQUE (device, content));
CREATE TABLE repairs (device BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE notices (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL, at INTEGER NOT NULL);
`

func (tx *Tx) exec(query string, args ...any) (int, error) {
	result, err := tx.sql.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

func (tx *Tx) row(query string, args ...any) *sql.Row {
	return tx.sql.QueryRowContext(tx.ctx, query, args...)
}

// scanner is one row, of one or of many.
type scanner interface{ Scan(...any) error }

// one scans a single row; ErrNotFound when there is none.
func one[T any](row *sql.Row, scan func(scanner) (T, error)) (T, error) {
	v, err := scan(row)
	return v, noRow(err)
}

// noRow turns SQL's word for nothing into ErrNotFound.
func noRow(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// list scans every row of a query.
func list[T any](tx *Tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.sql.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err below tells
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// count scans one number.
func (tx *Tx) count(query string, args ...any) (n int, err error) {
	err = tx.row(query, args...).Scan(&n)
	return n, err
}

func (tx *Tx) meta(name string) (value []byte, err error) {
	err = tx.row("SELECT value FROM meta WHERE name = ?", name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return value, err
}

func (tx *Tx) putMeta(name string, value []byte) error {
	_, err := tx.exec("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", name, value)
	return err
}

// fixed scans a blob of exactly the length of dst, which must be a slice of an
// array.
type fixed []byte

// Scan copies a column of the right length.
func (f fixed) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(f) {
		return corrupt("a column of a wrong length")
	}
	copy(f, b)
	return nil
}

// packList encodes byte strings one after the other, each with its length.
func packList(items [][]byte) []byte {
	b := []byte{}
	for _, item := range items {
		b = binary.BigEndian.AppendUint32(b, uint32(len(item)))
		b = append(b, item...)
	}
	return b
}

func unpackList(b []byte) (items [][]byte, err error) {
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, corrupt("a list")
		}
		n := binary.BigEndian.Uint32(b)
		if b = b[4:]; uint64(n) > uint64(len(b)) {
			return nil, corrupt("a list")
		}
		items = append(items, b[:n:n])
		b = b[n:]
	}
	return items, nil
}

// blob is b, never nil: a column for bytes holds no NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
