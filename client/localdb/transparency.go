package localdb

import (
	"bytes"
	"slices"

	"github.com/posthorn/posthorn/account"
)

const schemaTransparency = `
CREATE TABLE kt_log (id INTEGER PRIMARY KEY CHECK (id = 1), policy BLOB NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
	note BLOB NOT NULL, witnesses BLOB NOT NULL, signed INTEGER NOT NULL, checked INTEGER NOT NULL, asked INTEGER NOT NULL,
	alarm TEXT NOT NULL);
CREATE TABLE kt_names (name TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB NOT NULL, checked INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE kt_told (device BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE kt_heard (head BLOB PRIMARY KEY, account BLOB NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
`

// addTransparency is the step that adds what is known of the server's log.
func (tx *Tx) addTransparency() error { return tx.run(schemaTransparency) }

// Log is what this device has verified of the server's log. A database holds at
// most one.
type Log struct {
	Policy    []byte // whom to rely on, as first seen
	Size      uint64 // of the newest checkpoint
	Root      [32]byte
	Note      []byte   // the newest checkpoint, as signed
	Witnesses []string // who signed it
	SignedAt  uint64   // its newest signature, ms
	CheckedAt uint64   // ms
	AskedAt   uint64   // the last self-check that a peer's head caused, ms
	Alarm     string   // the log has lied, and the file that proves it; empty: it has not
}

// PutLog stores l in the place of an earlier one.
func (tx *Tx) PutLog(l Log) error {
	names := make([][]byte, len(l.Witnesses))
	for i, name := range l.Witnesses {
		names[i] = []byte(name)
	}
	_, err := tx.exec("INSERT OR REPLACE INTO kt_log VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		blob(l.Policy), l.Size, l.Root[:], blob(l.Note), packList(names), l.SignedAt, l.CheckedAt, l.AskedAt, l.Alarm)
	return err
}

// Log returns what is known of the log, or ErrNotFound.
func (tx *Tx) Log() (Log, error) {
	return one(tx.row("SELECT policy, size, root, note, witnesses, signed, checked, asked, alarm FROM kt_log"), scanLog)
}

func scanLog(row scanner) (l Log, err error) {
	var witnesses []byte
	if err := row.Scan(&l.Policy, &l.Size, fixed(l.Root[:]), &l.Note, &witnesses, &l.SignedAt, &l.CheckedAt, &l.AskedAt, &l.Alarm); err != nil {
		return Log{}, err
	}
	names, err := unpackList(witnesses)
	for _, name := range names {
		l.Witnesses = append(l.Witnesses, string(name))
	}
	return l, err
}

// LogName is how far the log's history of one name is verified.
type LogName struct {
	Name      account.Name
	Version   uint32
	Value     [32]byte // end of the chain of its versions
	CheckedAt uint64   // ms
}

// PutLogName stores n, replacing the row of the same name.
func (tx *Tx) PutLogName(n LogName) error {
	_, err := tx.exec("INSERT OR REPLACE INTO kt_names VALUES (?, ?, ?, ?)", string(n.Name), n.Version, n.Value[:], n.CheckedAt)
	return err
}

// LogName returns what is known of a name, or ErrNotFound.
func (tx *Tx) LogName(name account.Name) (LogName, error) {
	return one(tx.row(selectLogNames+" WHERE name = ?", string(name)), scanLogName)
}

// LogNames lists the names that were verified last, the newest first.
func (tx *Tx) LogNames(max int) ([]LogName, error) {
	return list(tx, scanLogName, selectLogNames+" ORDER BY checked DESC, name LIMIT ?", max)
}

const selectLogNames = "SELECT name, version, value, checked FROM kt_names"

func scanLogName(row scanner) (n LogName, err error) {
	err = row.Scan(&n.Name, &n.Version, fixed(n.Value[:]), &n.CheckedAt)
	return n, err
}

// addPlaces is the step by which a name's place in the log is computed once.
func (tx *Tx) addPlaces() error {
	return tx.run("CREATE TABLE kt_places (name TEXT PRIMARY KEY, vrf BLOB NOT NULL, proof BLOB NOT NULL, place BLOB NOT NULL) WITHOUT ROWID")
}

// LogPlace is the index of a name in the log's map, with the proof that was
// verified under a VRF key.
type LogPlace struct {
	Name  account.Name
	VRF   [32]byte
	Proof [80]byte
	Index [32]byte
}

// PutLogPlace stores p, replacing the row of the same name.
func (tx *Tx) PutLogPlace(p LogPlace) error {
	_, err := tx.exec("INSERT OR REPLACE INTO kt_places VALUES (?, ?, ?, ?)", string(p.Name), p.VRF[:], p.Proof[:], p.Index[:])
	return err
}

// LogPlace returns the place of a name, or ErrNotFound.
func (tx *Tx) LogPlace(name account.Name) (LogPlace, error) {
	return one(tx.row("SELECT vrf, proof, place FROM kt_places WHERE name = ?", string(name)), func(row scanner) (LogPlace, error) {
		p := LogPlace{Name: name}
		err := row.Scan(fixed(p.VRF[:]), fixed(p.Proof[:]), fixed(p.Index[:]))
		return p, err
	})
}

// Told reports whether a device has been told the log's head and is remembered.
func (tx *Tx) Told(device account.DeviceID) (bool, error) {
	n, err := tx.count("SELECT count(*) FROM kt_told WHERE device = ?", device[:])
	return n > 0, err
}

// PutTold remembers that a device was told. Beyond limit devices, one that the
// database picks at random is forgotten.
func (tx *Tx) PutTold(device account.DeviceID, at uint64, limit int) error {
	if _, err := tx.exec("INSERT OR REPLACE INTO kt_told VALUES (?, ?)", device[:], at); err != nil {
		return err
	}
	_, err := tx.exec("DELETE FROM kt_told WHERE (SELECT count(*) FROM kt_told) > ? AND"+
		" device = (SELECT device FROM kt_told WHERE device <> ? ORDER BY random() LIMIT 1)", limit, device[:])
	return err
}

// Heard is a head of the log that a peer passed on and that was not compared
// with this device's own yet.
type Heard struct {
	Head    []byte
	Account account.ID // who passed it on
	At      uint64     // ms
}

// PutHeard keeps a head in the place of an earlier one of the same account.
// Beyond limit heads those of strangers are dropped first, and then the oldest:
// nobody pushes out what somebody else has said.
func (tx *Tx) PutHeard(h Heard, limit int) error {
	if _, err := tx.exec("DELETE FROM kt_heard WHERE account = ?", h.Account[:]); err != nil {
		return err
	}
	// The same head from two accounts is two rows: neither takes the other's away.
	if _, err := tx.exec("INSERT INTO kt_heard VALUES (?, ?, ?)", slices.Concat(h.Head, h.Account[:]), h.Account[:], h.At); err != nil {
		return err
	}
	_, err := tx.exec("DELETE FROM kt_heard WHERE head NOT IN (SELECT head FROM kt_heard ORDER BY"+
		" account IN (SELECT account FROM contacts WHERE state = ?) DESC, at DESC, head LIMIT ?)", Friend, limit)
	return err
}

// Heard lists the heads, oldest first.
func (tx *Tx) Heard() ([]Heard, error) {
	return list(tx, func(row scanner) (h Heard, err error) {
		err = row.Scan(&h.Head, fixed(h.Account[:]), &h.At)
		h.Head = bytes.TrimSuffix(h.Head, h.Account[:])
		return h, err
	}, "SELECT head, account, at FROM kt_heard ORDER BY at, head")
}

// DropHeard forgets the head that an account passed on.
func (tx *Tx) DropHeard(from account.ID) error {
	_, err := tx.exec("DELETE FROM kt_heard WHERE account = ?", from[:])
	return err
}

const schemaAudit = `
CREATE TABLE kt_audit (id INTEGER PRIMARY KEY CHECK (id = 1), state BLOB NOT NULL, at INTEGER NOT NULL);
`

// addAudit is the step that adds the last audit of the log.
func (tx *Tx) addAudit() error { return tx.run(schemaAudit) }

// Audit is the last audit of the log that found nothing. A database holds at most
// one.
type Audit struct {
	State []byte // kt.Audit, to go on from there: about 100 bytes for each name
	At    uint64 // ms
}

// PutAudit stores a in the place of an earlier one.
func (tx *Tx) PutAudit(a Audit) error {
	_, err := tx.exec("INSERT OR REPLACE INTO kt_audit VALUES (1, ?, ?)", blob(a.State), a.At)
	return err
}

// Audit returns the last audit, or ErrNotFound.
func (tx *Tx) Audit() (Audit, error) {
	return one(tx.row("SELECT state, at FROM kt_audit"), func(row scanner) (a Audit, err error) {
		err = row.Scan(&a.State, &a.At)
		return a, err
	})
}

// ForgetLog removes all that is known of the log.
func (tx *Tx) ForgetLog() error {
	return tx.run("DELETE FROM kt_log; DELETE FROM kt_names; DELETE FROM kt_places; DELETE FROM kt_told; DELETE FROM kt_heard; DELETE FROM kt_audit")
}
