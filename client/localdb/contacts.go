package localdb

import "github.com/posthorn/posthorn/account"

// ContactState says how the user stands to somebody.
type ContactState uint8

// The states of a contact. Only a Friend is sent receipts.
const (
	Stranger ContactState = iota + 1 // wrote to us, unanswered
	Friend                           // we wrote to them, or accepted them
	Blocked                          // messages are dropped
	Former                           // had a name that is another account's now; messages are dropped
)

// Contact is an account this device knows.
type Contact struct {
	Account     account.ID
	Name        account.Name
	Statements  [][]byte // the roster as last verified, oldest first
	State       ContactState
	StoodAt     uint64        // when the user last decided State, on whatever device, ms; zero: never
	PinnedSuite account.Suite // the strongest suite seen; zero: none yet
	FirstSeen   uint64        // ms
	VerifiedAt  uint64        // when the user compared a code, ms; zero: never
	// ChangedTo is another account that the directory has shown under this name
	// since. Nothing is sent until the user has reviewed that; zero: none. Equal
	// to Account: its roster has forked.
	ChangedTo account.ID
}

// PutContact stores c, replacing the row of the same account.
func (tx *Tx) PutContact(c Contact) error {
	_, err := tx.exec("INSERT INTO contacts (account, name, statements, state, suite, first_seen, verified, changed, stood)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET"+
		" name = excluded.name, statements = excluded.statements, state = excluded.state, suite = excluded.suite,"+
		" first_seen = excluded.first_seen, verified = excluded.verified, changed = excluded.changed, stood = excluded.stood",
		c.Account[:], string(c.Name), packList(c.Statements), c.State, c.PinnedSuite, c.FirstSeen, c.VerifiedAt, c.ChangedTo[:], c.StoodAt)
	return err
}

// Contact returns the contact with that account id, or ErrNotFound.
func (tx *Tx) Contact(id account.ID) (Contact, error) {
	return one(tx.row(selectContacts+" WHERE account = ?", id[:]), scanContact)
}

// ContactByName returns the contact first seen under name, or ErrNotFound. A
// different account that later claims the same name does not take its place
// before the user has made this one Former.
func (tx *Tx) ContactByName(name account.Name) (Contact, error) {
	return one(tx.row(selectContacts+" WHERE name = ? AND state <> ? ORDER BY rowid LIMIT 1", string(name), Former), scanContact)
}

// Contacts lists every contact by name.
func (tx *Tx) Contacts() ([]Contact, error) {
	return list(tx, scanContact, selectContacts+" ORDER BY name, rowid")
}

// PeerDevice is what must be remembered about a device of a contact apart from
// its sessions: the newest bundle seen, because an older one is refused.
type PeerDevice struct {
	Device       account.DeviceID
	Account      account.ID
	NewestBundle uint64 // notBefore of the newest bundle seen, ms
	BundleHash   account.BundleHash
}

// PutPeerDevice stores d, replacing the row of the same device.
func (tx *Tx) PutPeerDevice(d PeerDevice) error {
	_, err := tx.exec("INSERT INTO devices VALUES (?, ?, ?, ?) ON CONFLICT (device) DO UPDATE SET"+
		" account = excluded.account, newest_bundle = excluded.newest_bundle, bundle = excluded.bundle",
		d.Device[:], d.Account[:], d.NewestBundle, d.BundleHash[:])
	return err
}

// PeerDevice returns what is known about a device, or ErrNotFound.
func (tx *Tx) PeerDevice(id account.DeviceID) (PeerDevice, error) {
	return one(tx.row(selectDevices+" WHERE device = ?", id[:]), scanDevice)
}

// PeerDevices lists the known devices of an account.
func (tx *Tx) PeerDevices(owner account.ID) ([]PeerDevice, error) {
	return list(tx, scanDevice, selectDevices+" WHERE account = ? ORDER BY device", owner[:])
}

// ForgetDevice erases everything kept about a device that its account has
// removed: sessions, skipped keys, waiting messages, limits and bundle record.
// Envelopes for it go as well, what was to be sealed for it, and the key of the
// history that it was to get.
func (tx *Tx) ForgetDevice(id account.DeviceID) error {
	for _, statement := range []string{
		"DELETE FROM sessions WHERE device = ?", "DELETE FROM waiting WHERE device = ?",
		"DELETE FROM repairs WHERE device = ?", "DELETE FROM devices WHERE device = ?",
		"DELETE FROM receipts WHERE device = ?", "DELETE FROM outgoing WHERE device = ?",
		"DELETE FROM owed WHERE device = ?", "DELETE FROM exports WHERE device = ?",
	} {
		if _, err := tx.exec(statement, id[:]); err != nil {
			return err
		}
	}
	return nil
}

// ForgetContact removes what is known about an account, apart from messages.
func (tx *Tx) ForgetContact(id account.ID) error {
	_, err := tx.exec("DELETE FROM contacts WHERE account = ?", id[:])
	return err
}

const (
	selectContacts = "SELECT account, name, statements, state, suite, first_seen, verified, changed, stood FROM contacts"
	selectDevices  = "SELECT device, account, newest_bundle, bundle FROM devices"
)

func scanContact(row scanner) (c Contact, err error) {
	var statements []byte
	if err := row.Scan(fixed(c.Account[:]), &c.Name, &statements, &c.State, &c.PinnedSuite, &c.FirstSeen, &c.VerifiedAt, fixed(c.ChangedTo[:]), &c.StoodAt); err != nil {
		return Contact{}, err
	}
	c.Statements, err = unpackList(statements)
	return c, err
}

func scanDevice(row scanner) (d PeerDevice, err error) {
	err = row.Scan(fixed(d.Device[:]), fixed(d.Account[:]), &d.NewestBundle, fixed(d.BundleHash[:]))
	return d, err
}
