package localdb

import (
	"encoding/binary"
	"slices"

	"github.com/posthorn/posthorn/account"
)

// The skipped keys of a session lie in rows of their own, a block of keys each,
// so that the session's row, which every message rewrites, stays small. They go
// when the session goes (a trigger of the schema).

// PutSkipped stores one block of a session's skipped keys under its id
// (pq3.SkippedRow), replacing the block of that id.
func (tx *Tx) PutSkipped(device account.DeviceID, session [8]byte, id uint64, keys []byte) error {
	block := blockKey(id)
	_, err := tx.exec("INSERT INTO skipped VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET keys = excluded.keys",
		device[:], session[:], block, tx.rows.seal("skipped.keys", append(sessionKey(device, session), block...), keys))
	return err
}

// DeleteSkipped erases one block.
func (tx *Tx) DeleteSkipped(device account.DeviceID, session [8]byte, id uint64) error {
	_, err := tx.exec("DELETE FROM skipped WHERE device = ? AND session = ? AND block = ?", device[:], session[:], blockKey(id))
	return err
}

// Skipped returns all blocks of a session one after the other, in ascending
// order of their ids, as pq3.RestoreSession takes them; empty without any. They
// are wiped when the transaction ends.
func (tx *Tx) Skipped(device account.DeviceID, session [8]byte) ([]byte, error) {
	open := func(row scanner) ([]byte, error) {
		var block, sealed []byte
		if err := row.Scan(&block, &sealed); err != nil {
			return nil, err
		}
		return tx.openKeys("skipped.keys", append(sessionKey(device, session), block...), sealed)
	}
	blocks, err := list(tx, open, "SELECT block, keys FROM skipped WHERE device = ? AND session = ? ORDER BY block", device[:], session[:])
	keys := slices.Concat(blocks...)
	tx.opened = append(tx.opened, keys)
	return keys, err
}

// blockKey is an id in the form that sorts as it counts.
func blockKey(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }
