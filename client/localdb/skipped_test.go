package localdb

import (
	"errors"
	"slices"
	"testing"

	"github.com/posthorn/posthorn/account"
)

// TestSkippedBlocksStayInTheirPlace: a block that was moved to another id or
// another session is refused.
func TestSkippedBlocksStayInTheirPlace(t *testing.T) {
	_, db := made(t)
	dev, session := account.DeviceID{1}, [8]byte{2}
	update(t, db, func(tx *Tx) error { return tx.PutSkipped(dev, session, 3, []byte("keys")) })
	for _, move := range []string{"UPDATE skipped SET block = x'0000000000000004'", "UPDATE skipped SET session = x'0300000000000000'"} {
		err := db.Update(t.Context(), func(tx *Tx) error {
			if err := tx.run(move); err != nil {
				return err
			}
			_, err := tx.Skipped(dev, session)
			_, other := tx.Skipped(dev, [8]byte{3})
			return errors.Join(err, other)
		})
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", move, err)
		}
	}
}

// TestVersion1KeepsItsSkippedKeys opens a profile in which the skipped keys
// still lie in the session's row.
func TestVersion1KeepsItsSkippedKeys(t *testing.T) {
	dir, db := made(t)
	full := Session{Device: account.DeviceID{1}, ID: [8]byte{2}, State: []byte("a")}
	empty := Session{Device: account.DeviceID{1}, ID: [8]byte{3}, State: []byte("b")}
	keys := slices.Concat([]byte{1, 0, 1}, []byte{0, 0, 0, 9, 0, 0, 0, 8}, make([]byte, 40))
	update(t, db, func(tx *Tx) error {
		stored := errors.Join(tx.PutSession(full), tx.PutSession(empty))
		toVersion1 := tx.run("DROP TABLE renewals; DROP TABLE imports; DROP TABLE exports; DROP TABLE verifications; ALTER TABLE contacts DROP COLUMN verified; ALTER TABLE contacts DROP COLUMN changed; ALTER TABLE contacts DROP COLUMN stood; ALTER TABLE messages DROP COLUMN confirmed;" +
			" DROP TABLE owed; DROP TABLE arrived; DROP TABLE device_names; DROP TABLE kt_log; DROP TABLE kt_names; DROP TABLE kt_places; DROP TABLE kt_told; DROP TABLE kt_heard; DROP TABLE kt_audit; DROP TABLE files; DROP TABLE uploads; DROP TRIGGER skipped_go; DROP TABLE skipped;" +
			" ALTER TABLE prekeys DROP COLUMN erase; ALTER TABLE sessions ADD COLUMN skipped BLOB NOT NULL DEFAULT x''; PRAGMA user_version = 1")
		return errors.Join(stored, toVersion1,
			putOldSkipped(tx, full, keys), putOldSkipped(tx, empty, nil))
	})
	db = reopen(t, dir, db)
	for session, want := range map[[8]byte]string{full.ID: string(keys), empty.ID: ""} {
		got := view(t, db, func(tx *Tx) (string, error) {
			keys, err := tx.Skipped(full.Device, session)
			return string(keys), err
		})
		if got != want {
			t.Errorf("session %x: %x, want %x", session, got, want)
		}
	}
	update(t, db, func(tx *Tx) error { return tx.DeleteSkipped(full.Device, full.ID, 9<<32|8) })
	if left := view(t, db, func(tx *Tx) (int, error) { return tx.count("SELECT count(*) FROM skipped") }); left != 0 {
		t.Errorf("%d blocks under another id", left)
	}
	if sessions := view(t, db, (*Tx).AllSessions); len(sessions) != 2 {
		t.Errorf("%d sessions", len(sessions))
	}
}

func putOldSkipped(tx *Tx, s Session, keys []byte) error {
	_, err := tx.exec("UPDATE sessions SET skipped = ? WHERE id = ?", tx.rows.seal("sessions.skipped", sessionKey(s.Device, s.ID), keys), s.ID[:])
	return err
}
