package localdb

import "github.com/posthorn/posthorn/account"

// WaitingMessage is an authentic message that cannot be opened yet because the
// objects of its chain have not arrived (SPEC §10.3).
type WaitingMessage struct {
	Device     account.DeviceID
	Account    account.ID
	Session    [8]byte
	Hash       [48]byte // SHA-384 of the message
	Payload    []byte
	ReceivedAt uint64 // ms
}

// WaitingTotals is what waits for one device, to be held against the limits.
type WaitingTotals struct {
	Messages int
	Bytes    int
	Sessions int // distinct session ids
}

// PutWaiting stores w unless the device's message with the same hash waits
// already, and reports whether it did.
func (tx *Tx) PutWaiting(w WaitingMessage) (bool, error) {
	n, err := tx.exec("INSERT INTO waiting (device, account, session, hash, payload, received) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		w.Device[:], w.Account[:], w.Session[:], w.Hash[:], blob(w.Payload), w.ReceivedAt)
	return n == 1, err
}

// Waiting lists a device's waiting messages of one session, oldest first.
func (tx *Tx) Waiting(device account.DeviceID, session [8]byte) ([]WaitingMessage, error) {
	return list(tx, scanWaiting, selectWaiting+" WHERE device = ? AND session = ? ORDER BY seq", device[:], session[:])
}

// AllWaiting lists the waiting messages of every device, oldest first.
func (tx *Tx) AllWaiting() ([]WaitingMessage, error) {
	return list(tx, scanWaiting, selectWaiting+" ORDER BY seq")
}

// WaitingTotals sums up what waits for a device.
func (tx *Tx) WaitingTotals(device account.DeviceID) (WaitingTotals, error) {
	var t WaitingTotals
	err := tx.row("SELECT count(*), coalesce(sum(length(payload)), 0), count(DISTINCT session) FROM waiting WHERE device = ?", device[:]).
		Scan(&t.Messages, &t.Bytes, &t.Sessions)
	return t, err
}

// DeleteWaiting removes one waiting message.
func (tx *Tx) DeleteWaiting(device account.DeviceID, hash [48]byte) error {
	_, err := tx.exec("DELETE FROM waiting WHERE device = ? AND hash = ?", device[:], hash[:])
	return err
}

// DeleteWaitingBefore removes the messages received before cutoff and returns
// them without their payloads, so that the loss can be told.
func (tx *Tx) DeleteWaitingBefore(cutoff uint64) ([]WaitingMessage, error) {
	gone, err := list(tx, scanWaiting, selectWaiting+" WHERE received < ? ORDER BY seq", cutoff)
	if err != nil {
		return nil, err
	}
	for i := range gone {
		gone[i].Payload = nil
	}
	_, err = tx.exec("DELETE FROM waiting WHERE received < ?", cutoff)
	return gone, err
}

const selectWaiting = "SELECT device, account, session, hash, payload, received FROM waiting"

func scanWaiting(row scanner) (w WaitingMessage, err error) {
	err = row.Scan(fixed(w.Device[:]), fixed(w.Account[:]), fixed(w.Session[:]), fixed(w.Hash[:]), &w.Payload, &w.ReceivedAt)
	return w, err
}
