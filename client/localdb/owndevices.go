package localdb

import (
	"encoding/binary"
	"errors"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/content"
)

// ownDevicesSchema is the step that brought several devices of one account.
const ownDevicesSchema = `
CREATE TABLE owed (id BLOB PRIMARY KEY, device BLOB NOT NULL, account BLOB NOT NULL, what INTEGER NOT NULL,
	item BLOB NOT NULL, at INTEGER NOT NULL);
CREATE INDEX owed_by_device ON owed (device);
CREATE TABLE arrived (id BLOB PRIMARY KEY, what INTEGER NOT NULL, item BLOB NOT NULL, at INTEGER NOT NULL);
CREATE TABLE device_names (device BLOB PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
`

func (tx *Tx) addOwnDevices() error { return tx.run(ownDevicesSchema) }

// Owed is something that is still to be sealed for a device: a text for a device
// that a contact has added meanwhile, or news for an own device.
type Owed struct {
	ID      content.ID // of the frame that it becomes; for a text, of the row
	Device  account.DeviceID
	Account account.ID
	What    uint8  // 0: a text, whose content id Item is; else the kind of news
	Item    []byte // sealed
	At      uint64 // ms
}

// PutOwed records o.
func (tx *Tx) PutOwed(o Owed) error {
	_, err := tx.exec("INSERT INTO owed (id, device, account, what, item, at) VALUES (?, ?, ?, ?, ?, ?)",
		o.ID[:], o.Device[:], o.Account[:], o.What, tx.rows.seal("owed.item", o.ID[:], o.Item), o.At)
	return err
}

// AllOwed lists what is owed and not sealed yet, oldest first.
func (tx *Tx) AllOwed() ([]Owed, error) {
	return list(tx, tx.scanOwed, selectOwed+" WHERE sealed = 0 ORDER BY rowid")
}

// Owed returns what is owed under an id, sealed or not, or ErrNotFound.
func (tx *Tx) Owed(id content.ID) (Owed, error) {
	return one(tx.row(selectOwed+" WHERE id = ?", id[:]), tx.scanOwed)
}

const selectOwed = "SELECT id, device, account, what, item, at FROM owed"

func (tx *Tx) scanOwed(row scanner) (o Owed, err error) {
	var sealed []byte
	if err := row.Scan(fixed(o.ID[:]), fixed(o.Device[:]), fixed(o.Account[:]), &o.What, &sealed, &o.At); err != nil {
		return Owed{}, err
	}
	o.Item, err = tx.rows.open("owed.item", o.ID[:], sealed)
	return o, err
}

// OwedSealed notes that something owed is in the outbox. It stays until its
// receipt, since the session that it was sealed on may be lost.
func (tx *Tx) OwedSealed(id content.ID) error {
	_, err := tx.exec("UPDATE owed SET sealed = 1 WHERE id = ?", id[:])
	return err
}

// DeleteOwedBefore removes what was sealed, was owed before cutoff, and is not in
// the outbox any more.
func (tx *Tx) DeleteOwedBefore(cutoff uint64) (int, error) {
	return tx.exec("DELETE FROM owed WHERE sealed = 1 AND at < ? AND id NOT IN (SELECT content FROM outgoing)", cutoff)
}

// DeleteOwed removes what is not owed any more.
func (tx *Tx) DeleteOwed(id content.ID) error {
	_, err := tx.exec("DELETE FROM owed WHERE id = ?", id[:])
	return err
}

// Arrived is news from an own device that has not been taken in yet.
type Arrived struct {
	ID   content.ID
	What uint8
	Item []byte // sealed
	At   uint64 // ms
}

// PutArrived stores a once.
func (tx *Tx) PutArrived(a Arrived) error {
	_, err := tx.exec("INSERT INTO arrived VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
		a.ID[:], a.What, tx.rows.seal("arrived.item", a.ID[:], a.Item), a.At)
	return err
}

// AllArrived lists the news that wait, in order of arrival.
func (tx *Tx) AllArrived() ([]Arrived, error) {
	return list(tx, func(row scanner) (a Arrived, err error) {
		var sealed []byte
		if err := row.Scan(fixed(a.ID[:]), &a.What, &sealed, &a.At); err != nil {
			return Arrived{}, err
		}
		a.Item, err = tx.rows.open("arrived.item", a.ID[:], sealed)
		return a, err
	}, "SELECT id, what, item, at FROM arrived ORDER BY rowid")
}

// DeleteArrived removes news that were taken in.
func (tx *Tx) DeleteArrived(id content.ID) error {
	_, err := tx.exec("DELETE FROM arrived WHERE id = ?", id[:])
	return err
}

// IncomingMessage returns the message that somebody sent under id, or
// ErrNotFound.
func (tx *Tx) IncomingMessage(from account.ID, id content.ID) (Message, error) {
	return one(tx.row(selectMessages+" WHERE account = ? AND outgoing = 0 AND id = ?", from[:], id[:]), scanMessage)
}

// DeviceName is what the user calls one of the own devices.
type DeviceName struct {
	Device account.DeviceID
	Name   string
	At     uint64 // ms; the newest name counts
}

// PutDeviceName stores n unless a newer name is there.
func (tx *Tx) PutDeviceName(n DeviceName) error {
	_, err := tx.exec("INSERT INTO device_names VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET name = excluded.name, at = excluded.at"+
		" WHERE excluded.at > at", n.Device[:], n.Name, n.At)
	return err
}

// DeviceNames lists the names of own devices.
func (tx *Tx) DeviceNames() ([]DeviceName, error) {
	return list(tx, func(row scanner) (n DeviceName, err error) {
		err = row.Scan(fixed(n.Device[:]), &n.Name, &n.At)
		return n, err
	}, "SELECT device, name, at FROM device_names ORDER BY device")
}

// metaRemoved notes that the account has removed this device.
const metaRemoved = "removed"

// Removed reports whether this device was removed from its account.
func (tx *Tx) Removed() (bool, error) {
	_, err := tx.meta(metaRemoved)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// MarkRemoved notes that this device was removed from its account, and erases
// everything that it could send or open messages with. What it has received
// stays.
func (tx *Tx) MarkRemoved() error {
	for _, table := range []string{"sessions", "waiting", "prekeys", "outgoing", "queued", "owed", "arrived", "receipts", "exports", "imports"} {
		if _, err := tx.exec("DELETE FROM " + table); err != nil {
			return err
		}
	}
	return tx.putMeta(metaRemoved, []byte{1})
}

// metaWorn notes that the newest prekey may be known to somebody else.
const metaWorn = "worn"

// MarkWorn asks for a new prekey before the newest one is a week old: somebody
// may have it.
func (tx *Tx) MarkWorn() error { return tx.putMeta(metaWorn, []byte{1}) }

// Worn reports whether MarkWorn was called since the last ClearWorn.
func (tx *Tx) Worn() (bool, error) { return tx.flag(metaWorn) }

// ClearWorn goes into the transaction that stores a new prekey.
func (tx *Tx) ClearWorn() error { return tx.putMeta(metaWorn, []byte{0}) }

// metaGivingUp notes that the prekeys before the newest are to be given up once
// its bundle is published.
const metaGivingUp = "giving up"

// PutGivingUp notes or forgets it.
func (tx *Tx) PutGivingUp(on bool) error {
	if on {
		return tx.putMeta(metaGivingUp, []byte{1})
	}
	return tx.putMeta(metaGivingUp, []byte{0})
}

// GivingUp is what PutGivingUp has noted.
func (tx *Tx) GivingUp() (bool, error) { return tx.flag(metaGivingUp) }

// flag reads a value that is 0, 1, or not there.
func (tx *Tx) flag(name string) (bool, error) {
	value, err := tx.meta(name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return len(value) == 1 && value[0] == 1, err
}

// addReceipts is the step by which own devices confirm news to each other, and
// texts remember that a device has confirmed them.
func (tx *Tx) addReceipts() error {
	return tx.run("ALTER TABLE owed ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0; ALTER TABLE messages ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 0")
}

// addStanding is the step by which own devices agree on how somebody stands.
func (tx *Tx) addStanding() error {
	return tx.run("ALTER TABLE contacts ADD COLUMN stood INTEGER NOT NULL DEFAULT 0")
}

func metaReviewed(id account.ID) string { return "reviewed " + id.String() }

// PutReviewed notes when the user decided between two chains of an account: what
// was verified before says nothing of the one that was taken.
func (tx *Tx) PutReviewed(id account.ID, at uint64) error {
	return tx.putMeta(metaReviewed(id), binary.BigEndian.AppendUint64(nil, at))
}

// Reviewed is when PutReviewed was last called, ms; zero: never.
func (tx *Tx) Reviewed(id account.ID) (uint64, error) {
	value, err := tx.meta(metaReviewed(id))
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err == nil && len(value) != 8 {
		err = corrupt("a review")
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}

func metaFork(id account.ID) string { return "fork " + id.String() }

// PutFork notes how many statements two chains of an account have in common; 0
// once the user has decided between them.
func (tx *Tx) PutFork(id account.ID, shared int) error {
	return tx.putMeta(metaFork(id), binary.BigEndian.AppendUint32(nil, uint32(shared)))
}

// Fork is what PutFork has noted, or 0.
func (tx *Tx) Fork(id account.ID) (int, error) {
	value, err := tx.meta(metaFork(id))
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err == nil && len(value) != 4 {
		err = corrupt("a fork")
	}
	if err != nil {
		return 0, err
	}
	return int(binary.BigEndian.Uint32(value)), nil
}
