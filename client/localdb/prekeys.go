package localdb

import (
	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/secret"
)

// Prekey is one of this device's prekey bundles with its private half.
type Prekey struct {
	Hash      account.BundleHash
	Suite     account.Suite
	Private   secret.Bytes // pq3.Prekey's encoding; sealed, wiped when the transaction ends; empty: erased early
	NotBefore uint64       // ms
	NotAfter  uint64       // ms
	Published bool         // the server has it
	EraseAt   uint64       // ms; 0: it has not been given up, and stays as long as its bundle demands
}

// addGivenUp is the step that lets prekeys be erased before their time.
func (tx *Tx) addGivenUp() error {
	return tx.run("ALTER TABLE prekeys ADD COLUMN erase INTEGER NOT NULL DEFAULT 0")
}

// PutPrekey stores p, replacing the row with the same hash.
func (tx *Tx) PutPrekey(p Prekey) error {
	_, err := tx.exec("INSERT INTO prekeys VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO UPDATE SET suite = excluded.suite,"+
		" private = excluded.private, not_before = excluded.not_before, not_after = excluded.not_after, published = excluded.published, erase = excluded.erase",
		p.Hash[:], p.Suite, tx.rows.seal("prekeys.private", p.Hash[:], p.Private), p.NotBefore, p.NotAfter, p.Published, p.EraseAt)
	return err
}

// MarkPublished notes that the server has the bundle.
func (tx *Tx) MarkPublished(hash account.BundleHash) error {
	_, err := tx.exec("UPDATE prekeys SET published = 1 WHERE hash = ?", hash[:])
	return err
}

// Prekey returns the prekey with that bundle hash, or ErrNotFound.
func (tx *Tx) Prekey(hash account.BundleHash) (Prekey, error) {
	return one(tx.row(selectPrekeys+" WHERE hash = ?", hash[:]), tx.scanPrekey)
}

// NewestPrekey returns the suite's prekey with the latest NotBefore of those
// that have not been given up, or ErrNotFound.
func (tx *Tx) NewestPrekey(suite account.Suite) (Prekey, error) {
	return one(tx.row(selectPrekeys+" WHERE suite = ? AND erase = 0 ORDER BY not_before DESC, hash LIMIT 1", suite), tx.scanPrekey)
}

// Prekeys lists every prekey, newest first.
func (tx *Tx) Prekeys() ([]Prekey, error) {
	return list(tx, tx.scanPrekey, selectPrekeys+" ORDER BY not_before DESC, hash")
}

// DeletePrekeys erases the prekeys whose NotAfter lies before cutoff, and the
// replay records of session starts that named them: without the private half
// such a start is refused anyway. It returns how many prekeys went.
func (tx *Tx) DeletePrekeys(cutoff uint64) (int, error) {
	_, err := tx.exec("DELETE FROM replays WHERE bundle IN (SELECT hash FROM prekeys WHERE not_after < ?)", cutoff)
	if err != nil {
		return 0, err
	}
	return tx.exec("DELETE FROM prekeys WHERE not_after < ?", cutoff)
}

// GiveUpPrekeys sets the time at which the private halves of all prekeys but one
// are erased, in ms. One that was given up before keeps its earlier time.
func (tx *Tx) GiveUpPrekeys(but account.BundleHash, at uint64) error {
	_, err := tx.exec("UPDATE prekeys SET erase = ? WHERE hash <> ? AND (erase = 0 OR erase > ?)", at, but[:], at)
	return err
}

// EraseGivenUp erases the private halves whose time has come. Their rows stay as
// long as those of other prekeys, and the replay records with them: what is left
// tells a session start that came too late from one that names no bundle of ours.
func (tx *Tx) EraseGivenUp(now uint64) (int, error) {
	return tx.exec("UPDATE prekeys SET private = x'' WHERE erase > 0 AND erase <= ? AND private <> x''", now)
}

const selectPrekeys = "SELECT hash, suite, private, not_before, not_after, published, erase FROM prekeys"

func (tx *Tx) scanPrekey(row scanner) (p Prekey, err error) {
	var sealed []byte
	if err := row.Scan(fixed(p.Hash[:]), &p.Suite, &sealed, &p.NotBefore, &p.NotAfter, &p.Published, &p.EraseAt); err != nil {
		return Prekey{}, err
	}
	if len(sealed) == 0 && p.EraseAt != 0 {
		return p, nil
	}
	p.Private, err = tx.openKeys("prekeys.private", p.Hash[:], sealed)
	return p, err
}
