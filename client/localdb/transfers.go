package localdb

import (
	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/secret"
)

const schemaTransfers = `
CREATE TABLE imports (id INTEGER PRIMARY KEY CHECK (id = 1), key BLOB NOT NULL, label TEXT NOT NULL, applied INTEGER NOT NULL,
	next INTEGER NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, finished INTEGER NOT NULL);
CREATE TABLE exports (device BLOB PRIMARY KEY, key BLOB NOT NULL, statement BLOB NOT NULL, bundle BLOB NOT NULL,
	approved INTEGER NOT NULL, published INTEGER NOT NULL, next INTEGER NOT NULL, contact INTEGER NOT NULL, message INTEGER NOT NULL,
	last INTEGER NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, segment BLOB NOT NULL, finished INTEGER NOT NULL) WITHOUT ROWID;
`

// addPins is the step that brings what a new device is told of the log.
func (tx *Tx) addPins() error {
	return tx.run("ALTER TABLE imports ADD COLUMN pins BLOB NOT NULL DEFAULT x''")
}

// addTransfers is the step that brings linking and the hand-over of history.
func (tx *Tx) addTransfers() error { return tx.run(schemaTransfers) }

// Import is what a new device knows of its own linking, and how far the history
// has come in. A profile that is not linked yet has one and no roster.
type Import struct {
	Key      secret.Key // of the history; sealed
	Label    string     // the device's name for people
	Applied  bool       // the old device may have put this one on the roster
	Next     uint32     // segment to come
	Done     uint64     // items that are in
	Total    uint64     // as the last segment said
	Finished bool
	Pins     []byte // what the old device said of the log, until the first look-up that agrees with it
}

// PutImport stores i in the place of an earlier one.
func (tx *Tx) PutImport(i Import) error {
	_, err := tx.exec("INSERT INTO imports VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET key = excluded.key, label = excluded.label,"+
		" applied = excluded.applied, next = excluded.next, done = excluded.done, total = excluded.total, finished = excluded.finished, pins = excluded.pins",
		tx.rows.seal("imports.key", []byte{1}, i.Key[:]), i.Label, i.Applied, i.Next, i.Done, i.Total, i.Finished, blob(i.Pins))
	return err
}

// Import returns the row, or ErrNotFound on a device that founded its account.
func (tx *Tx) Import() (Import, error) {
	return one(tx.row("SELECT key, label, applied, next, done, total, finished, pins FROM imports"), func(row scanner) (i Import, err error) {
		var sealed []byte
		if err := row.Scan(&sealed, &i.Label, &i.Applied, &i.Next, &i.Done, &i.Total, &i.Finished, &i.Pins); err != nil {
			return Import{}, err
		}
		key, err := tx.openKeys("imports.key", []byte{1}, sealed)
		if err == nil && copy(i.Key[:], key) != len(i.Key) {
			err = corrupt("imports.key")
		}
		return i, err
	})
}

// Export is a device that this one lets in, and how far its history is out.
// The row is there before the server hears of the device.
type Export struct {
	Device    account.DeviceID
	Key       secret.Key // of the history; sealed
	Statement []byte     // that puts the device on the roster
	Bundle    []byte     // its first prekey bundle
	Approved  uint64     // ms
	Published bool       // the server has the statement
	Next      uint32     // segment that is out next
	Contact   int64      // row of the last contact that is out
	Message   int64      // the same of messages
	Last      int64      // row of the last message that belongs to the history; 0: not begun
	Done      uint64     // items that are out, or in Segment
	Total     uint64
	Segment   []byte // sealed, on its way; empty: the next one is to be made
	Finished  bool
}

// PutExport stores e in the place of an earlier one of the same device.
func (tx *Tx) PutExport(e Export) error {
	_, err := tx.exec("INSERT INTO exports VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device) DO UPDATE SET key = excluded.key,"+
		" statement = excluded.statement, bundle = excluded.bundle, approved = excluded.approved, published = excluded.published, next = excluded.next,"+
		" contact = excluded.contact, message = excluded.message, last = excluded.last, done = excluded.done, total = excluded.total,"+
		" segment = excluded.segment, finished = excluded.finished",
		e.Device[:], tx.rows.seal("exports.key", e.Device[:], e.Key[:]), blob(e.Statement), blob(e.Bundle), e.Approved, e.Published,
		e.Next, e.Contact, e.Message, e.Last, e.Done, e.Total, blob(e.Segment), e.Finished)
	return err
}

// Export returns the row of a device, or ErrNotFound.
func (tx *Tx) Export(device account.DeviceID) (Export, error) {
	return one(tx.row(selectExports+" WHERE device = ?", device[:]), tx.scanExport)
}

// Exports lists those that are not finished.
func (tx *Tx) Exports() ([]Export, error) {
	return list(tx, tx.scanExport, selectExports+" WHERE finished = 0 ORDER BY approved, device")
}

// DeleteExport forgets a device with the key of its history.
func (tx *Tx) DeleteExport(device account.DeviceID) error {
	_, err := tx.exec("DELETE FROM exports WHERE device = ?", device[:])
	return err
}

const selectExports = "SELECT device, key, statement, bundle, approved, published, next, contact, message, last, done, total, segment, finished FROM exports"

func (tx *Tx) scanExport(row scanner) (e Export, err error) {
	var sealed []byte
	if err := row.Scan(fixed(e.Device[:]), &sealed, &e.Statement, &e.Bundle, &e.Approved, &e.Published, &e.Next,
		&e.Contact, &e.Message, &e.Last, &e.Done, &e.Total, &e.Segment, &e.Finished); err != nil {
		return Export{}, err
	}
	key, err := tx.openKeys("exports.key", e.Device[:], sealed)
	if err == nil && copy(e.Key[:], key) != len(e.Key) {
		err = corrupt("exports.key")
	}
	return e, err
}

// HistorySize counts what a new device is to get, and names the last message.
func (tx *Tx) HistorySize() (items uint64, last int64, err error) {
	err = tx.row("SELECT (SELECT count(*) FROM contacts) + (SELECT count(*) FROM messages), (SELECT coalesce(max(seq), 0) FROM messages)").Scan(&items, &last)
	return items, last, err
}

// ContactAfter returns the contact in the next row, and which row that is.
// ErrNotFound after the last.
func (tx *Tx) ContactAfter(row int64) (c Contact, at int64, err error) {
	err = tx.row("SELECT rowid, account FROM contacts WHERE rowid > ? ORDER BY rowid LIMIT 1", row).Scan(&at, fixed(c.Account[:]))
	if err != nil {
		return c, 0, noRow(err)
	}
	c, err = tx.Contact(c.Account)
	return c, at, err
}

// MessagesAfter returns messages in order of arrival, at most max.
func (tx *Tx) MessagesAfter(seq, last int64, max int) ([]Message, error) {
	return list(tx, scanMessage, selectMessages+" WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", seq, last, max)
}
