package localdb

import "github.com/posthorn/posthorn/account"

// Replay records an accepted session start. It is written in the transaction
// that creates the session, so that the same start is never accepted twice
// (SPEC §5.4).
type Replay struct {
	Key    [48]byte
	Bundle account.BundleHash
	Device account.DeviceID
	At     uint64 // ms
}

// PutReplay records r. A key that is there already stays as it is.
func (tx *Tx) PutReplay(r Replay) error {
	_, err := tx.exec("INSERT INTO replays VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", r.Key[:], r.Bundle[:], r.Device[:], r.At)
	return err
}

// HasReplay reports whether a start with that key was accepted before.
func (tx *Tx) HasReplay(key [48]byte) (bool, error) {
	n, err := tx.count("SELECT count(*) FROM replays WHERE key = ?", key[:])
	return n > 0, err
}

// CountBundleStarts counts the starts accepted on a bundle.
func (tx *Tx) CountBundleStarts(bundle account.BundleHash) (int, error) {
	return tx.count("SELECT count(*) FROM replays WHERE bundle = ?", bundle[:])
}

// CountDeviceStarts counts the starts accepted from a device at since or later.
func (tx *Tx) CountDeviceStarts(device account.DeviceID, since uint64) (int, error) {
	return tx.count("SELECT count(*) FROM replays WHERE device = ? AND at >= ?", device[:], since)
}

// SeeEnvelope records an envelope id and reports whether it is new. At is when
// it arrived.
func (tx *Tx) SeeEnvelope(id [16]byte, at uint64) (bool, error) {
	n, err := tx.exec("INSERT INTO envelopes VALUES (?, ?) ON CONFLICT DO NOTHING", id[:], at)
	return n == 1, err
}

// ForgetEnvelopes drops the envelope ids that arrived before cutoff and returns
// how many went.
func (tx *Tx) ForgetEnvelopes(cutoff uint64) (int, error) {
	return tx.exec("DELETE FROM envelopes WHERE at < ?", cutoff)
}
