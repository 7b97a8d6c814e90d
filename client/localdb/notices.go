package localdb

import (
	"encoding/binary"
	"errors"
)

// Notice is something the user must be told once.
type Notice struct {
	ID   int64 // set by the database
	Text string
	At   uint64 // ms
}

// PutNotice appends a notice.
func (tx *Tx) PutNotice(n Notice) error {
	_, err := tx.exec("INSERT INTO notices (text, at) VALUES (?, ?)", n.Text, n.At)
	return err
}

// CountNotices counts the notices that wait.
func (tx *Tx) CountNotices() (int, error) { return tx.count("SELECT count(*) FROM notices") }

// TakeNotices removes and returns the notices, oldest first.
func (tx *Tx) TakeNotices() ([]Notice, error) {
	all, err := list(tx, func(row scanner) (n Notice, err error) {
		err = row.Scan(&n.ID, &n.Text, &n.At)
		return n, err
	}, "SELECT id, text, at FROM notices ORDER BY id")
	if err != nil {
		return nil, err
	}
	_, err = tx.exec("DELETE FROM notices")
	return all, err
}

// Cursor returns the sequence number of the mailbox up to which everything is
// stored here and acknowledged; zero at first.
func (tx *Tx) Cursor() (uint64, error) {
	value, err := tx.meta("cursor")
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil || len(value) != 8 {
		return 0, errors.Join(err, corrupt("the cursor"))
	}
	return binary.BigEndian.Uint64(value), nil
}

// SetCursor moves the cursor forward; a lower number changes nothing.
func (tx *Tx) SetCursor(seq uint64) error {
	now, err := tx.Cursor()
	if err != nil || seq <= now {
		return err
	}
	return tx.putMeta("cursor", binary.BigEndian.AppendUint64(nil, seq))
}
