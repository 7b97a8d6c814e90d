package localdb

import (
	"encoding/binary"
	"errors"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/secret"
)

// Seat is how far this device's logins have come, as far as this copy of the
// profile knows. Next is drawn before a login and kept until the server has
// taken it, so a login whose answer got lost is repeated as it was.
type Seat struct {
	Number      uint64
	Value, Next [16]byte
	Behind      bool // the server says that another copy has gone on
}

const metaSeat = "seat"

// Seat returns it; zero before the first login.
func (tx *Tx) Seat() (s Seat, err error) {
	b, err := tx.meta(metaSeat)
	if errors.Is(err, ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if len(b) != 8+16+16+1 {
		return s, corrupt("the seat")
	}
	s.Number = binary.BigEndian.Uint64(b)
	copy(s.Value[:], b[8:])
	copy(s.Next[:], b[24:])
	s.Behind = b[40] == 1
	return s, nil
}

// PutSeat stores s.
func (tx *Tx) PutSeat(s Seat) error {
	b := binary.BigEndian.AppendUint64(nil, s.Number)
	b = append(append(b, s.Value[:]...), s.Next[:]...)
	behind := byte(0)
	if s.Behind {
		behind = 1
	}
	return tx.putMeta(metaSeat, append(b, behind))
}

const schemaRenewals = `
CREATE TABLE renewals (id INTEGER PRIMARY KEY CHECK (id = 1), device BLOB NOT NULL, seeds BLOB NOT NULL, created INTEGER NOT NULL,
	statement BLOB NOT NULL, bundle BLOB NOT NULL, prekey BLOB NOT NULL);
`

// addRenewals is the step that lets a copied profile become another device.
func (tx *Tx) addRenewals() error { return tx.run(schemaRenewals) }

// Renewal is the device that a copied profile is about to become.
type Renewal struct {
	Device    account.DeviceID
	KeySeeds  account.KeySeeds // sealed
	CreatedAt uint64           // ms
	Statement []byte           // that puts it in the place of the old one
	Bundle    []byte           // its first bundle
	Prekey    secret.Bytes     // pq3.Prekey's encoding; sealed, wiped when the transaction ends
}

// PutRenewal stores r unless there is one.
func (tx *Tx) PutRenewal(r Renewal) error {
	seeds := append(append([]byte(nil), r.KeySeeds.ECDSA[:]...), r.KeySeeds.MLDSA[:]...)
	defer secret.Wipe(seeds)
	_, err := tx.exec("INSERT INTO renewals VALUES (1, ?, ?, ?, ?, ?, ?)", r.Device[:], tx.rows.seal("renewals.seeds", r.Device[:], seeds),
		r.CreatedAt, blob(r.Statement), blob(r.Bundle), tx.rows.seal("renewals.prekey", r.Device[:], r.Prekey))
	return err
}

// Renewal returns the row, or ErrNotFound.
func (tx *Tx) Renewal() (Renewal, error) {
	return one(tx.row("SELECT device, seeds, created, statement, bundle, prekey FROM renewals"), func(row scanner) (r Renewal, err error) {
		var seeds, prekey []byte
		if err := row.Scan(fixed(r.Device[:]), &seeds, &r.CreatedAt, &r.Statement, &r.Bundle, &prekey); err != nil {
			return Renewal{}, err
		}
		plain, err := tx.openKeys("renewals.seeds", r.Device[:], seeds)
		if err != nil || len(plain) != len(r.KeySeeds.ECDSA)+len(r.KeySeeds.MLDSA) {
			return Renewal{}, errors.Join(err, corrupt("renewals.seeds"))
		}
		copy(r.KeySeeds.ECDSA[:], plain)
		copy(r.KeySeeds.MLDSA[:], plain[len(r.KeySeeds.ECDSA):])
		r.Prekey, err = tx.openKeys("renewals.prekey", r.Device[:], prekey)
		return r, err
	})
}

// DropRenewal forgets a device that this profile will not become.
func (tx *Tx) DropRenewal() error {
	_, err := tx.exec("DELETE FROM renewals")
	return err
}

// EraseRatchets removes all that a copy of this profile may have gone on with:
// sessions with their skipped keys, messages that wait for objects, envelopes
// that are out or on their way, and what is owed to single devices. Texts and
// contacts stay. It returns the contents of texts that no server has accepted.
func (tx *Tx) EraseRatchets() (unsent []Message, err error) {
	unsent, err = list(tx, scanMessage, selectMessages+" WHERE outgoing = 1 AND id IN (SELECT content FROM outgoing WHERE kind = ? AND accepted = 0) ORDER BY seq", OutgoingText)
	if err != nil {
		return nil, err
	}
	for _, statement := range []string{
		"DELETE FROM sessions", "DELETE FROM waiting", "DELETE FROM outgoing", "DELETE FROM repairs", "DELETE FROM receipts",
		"UPDATE owed SET sealed = 0",
	} {
		if _, err := tx.exec(statement); err != nil {
			return nil, err
		}
	}
	return unsent, nil
}

// ReplaceDevice makes this profile the device of a renewal: its prekeys and
// login are the new device's from now on.
func (tx *Tx) ReplaceDevice(p Profile) error {
	for _, statement := range []string{"DELETE FROM prekeys", "DELETE FROM replays", "DELETE FROM meta WHERE name = 'seat'", "DELETE FROM meta WHERE name = 'cursor'"} {
		if _, err := tx.exec(statement); err != nil {
			return err
		}
	}
	return errors.Join(tx.DropRenewal(), tx.PutProfile(p))
}
