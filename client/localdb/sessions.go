package localdb

import (
	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/secret"
)

// Session is one session with one device of a contact.
type Session struct {
	Device       account.DeviceID
	ID           [8]byte
	State        secret.Bytes // pq3.Session.MarshalState; sealed, wiped when the transaction ends
	StartTime    uint64       // ms
	SupersededAt uint64       // ms; zero while it is the one to send on
}

// PutSession stores s, replacing the row with the same device and id.
func (tx *Tx) PutSession(s Session) error {
	key := sessionKey(s.Device, s.ID)
	_, err := tx.exec("INSERT INTO sessions VALUES (?, ?, ?, ?, ?) ON CONFLICT (device, id) DO UPDATE SET"+
		" state = excluded.state, start_time = excluded.start_time, superseded = excluded.superseded",
		s.Device[:], s.ID[:], tx.rows.seal("sessions.state", key, s.State), s.StartTime, s.SupersededAt)
	return err
}

// SupersedeSession notes when a session ceased to be the one to send on.
func (tx *Tx) SupersedeSession(device account.DeviceID, id [8]byte, at uint64) error {
	_, err := tx.exec("UPDATE sessions SET superseded = ? WHERE device = ? AND id = ?", at, device[:], id[:])
	return err
}

// Sessions lists a device's sessions, greatest (StartTime, ID) first.
func (tx *Tx) Sessions(device account.DeviceID) ([]Session, error) {
	return list(tx, tx.scanSession, selectSessions+" WHERE device = ? ORDER BY start_time DESC, id DESC", device[:])
}

// AllSessions lists the sessions of every device, ordered by device and then
// as Sessions does.
func (tx *Tx) AllSessions() ([]Session, error) {
	return list(tx, tx.scanSession, selectSessions+" ORDER BY device, start_time DESC, id DESC")
}

// DeleteSession erases a session and its skipped keys.
func (tx *Tx) DeleteSession(device account.DeviceID, id [8]byte) error {
	_, err := tx.exec("DELETE FROM sessions WHERE device = ? AND id = ?", device[:], id[:])
	return err
}

// DeleteSuperseded erases the sessions superseded before cutoff and returns how
// many went.
func (tx *Tx) DeleteSuperseded(cutoff uint64) (int, error) {
	return tx.exec("DELETE FROM sessions WHERE superseded > 0 AND superseded < ?", cutoff)
}

const selectSessions = "SELECT device, id, state, start_time, superseded FROM sessions"

// sessionKey is the primary key of a session as the sealed columns are bound
// to it.
func sessionKey(device account.DeviceID, id [8]byte) []byte { return append(device[:], id[:]...) }

func (tx *Tx) scanSession(row scanner) (s Session, err error) {
	var state []byte
	if err := row.Scan(fixed(s.Device[:]), fixed(s.ID[:]), &state, &s.StartTime, &s.SupersededAt); err != nil {
		return Session{}, err
	}
	s.State, err = tx.openKeys("sessions.state", sessionKey(s.Device, s.ID), state)
	return s, err
}
