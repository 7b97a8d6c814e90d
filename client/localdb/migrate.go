package localdb

import (
	"encoding/binary"
	"fmt"
)

// migrations lead from one version of the schema to the next. Each is kept for
// ever, so that a profile of any age opens.
var migrations = []func(*Tx) error{
	func(tx *Tx) error { return tx.run(schemaV1) },
	(*Tx).moveSkipped,
	(*Tx).addFiles,
	(*Tx).addVerifications,
	(*Tx).addTransparency,
	(*Tx).addOwnDevices,
	(*Tx).addTransfers,
	(*Tx).addRenewals,
	(*Tx).addStanding,
	(*Tx).addPins,
	(*Tx).addGivenUp,
	(*Tx).addReceipts,
	(*Tx).addPlaces,
	(*Tx).addAudit,
}

// schemaVersion is what this program writes.
var schemaVersion = len(migrations)

// migrate makes the schema, or brings it up to this program's version.
func (tx *Tx) migrate() error {
	var version int
	if err := tx.row("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > schemaVersion {
		return fmt.Errorf("%w: it has schema %d, this program knows %d", ErrNewerSchema, version, schemaVersion)
	}
	for _, step := range migrations[version:] {
		if err := step(tx); err != nil {
			return err
		}
	}
	if version == schemaVersion {
		return nil
	}
	return tx.run(fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
}

func (tx *Tx) run(statements string) error {
	_, err := tx.exec(statements)
	return err
}

const schemaV2 = `
CREATE TABLE skipped (device BLOB NOT NULL, session BLOB NOT NULL, block BLOB NOT NULL, keys BLOB NOT NULL,
	PRIMARY KEY (device, session, block)) WITHOUT ROWID;
CREATE TRIGGER skipped_go AFTER DELETE ON sessions BEGIN
	DELETE FROM skipped WHERE device = OLD.device AND session = OLD.id;
END;
`

// moveSkipped takes the skipped keys of version 1 out of the sessions' rows.
func (tx *Tx) moveSkipped() error {
	if err := tx.run(schemaV2); err != nil {
		return err
	}
	moved, err := list(tx, tx.scanOldSkipped, "SELECT device, id, skipped FROM sessions")
	if err != nil {
		return err
	}
	for _, old := range moved {
		// Version 1 kept all keys as one block: version, count, then keys that
		// begin with epoch and index, which are the block's id.
		if len(old.keys) == 0 {
			continue
		}
		if len(old.keys) < 11 {
			return corrupt("sessions.skipped")
		}
		if err := tx.PutSkipped(old.session.Device, old.session.ID, binary.BigEndian.Uint64(old.keys[3:]), old.keys); err != nil {
			return err
		}
	}
	return tx.run("ALTER TABLE sessions DROP COLUMN skipped")
}

// oldSkipped is what version 1 had in a session's row.
type oldSkipped struct {
	session Session
	keys    []byte
}

func (tx *Tx) scanOldSkipped(row scanner) (old oldSkipped, err error) {
	var sealed []byte
	s := &old.session
	if err := row.Scan(fixed(s.Device[:]), fixed(s.ID[:]), &sealed); err != nil {
		return oldSkipped{}, err
	}
	old.keys, err = tx.openKeys("sessions.skipped", sessionKey(s.Device, s.ID), sealed)
	return old, err
}
