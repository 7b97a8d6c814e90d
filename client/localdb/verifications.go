package localdb

import (
	"github.com/posthorn/posthorn/account"
)

// verificationSchema is the step that brought the comparison of codes.
const verificationSchema = `
ALTER TABLE contacts ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contacts ADD COLUMN changed BLOB NOT NULL DEFAULT (zeroblob(48));
CREATE TABLE verifications (account BLOB PRIMARY KEY, id BLOB NOT NULL, device BLOB NOT NULL,
	run BLOB NOT NULL, failed INTEGER NOT NULL, failed_at INTEGER NOT NULL) WITHOUT ROWID;
`

func (tx *Tx) addVerifications() error { return tx.run(verificationSchema) }

// Verification is the live comparison of codes with one account: the newest
// run, and how many have failed.
type Verification struct {
	Account  account.ID
	ID       [16]byte         // names the run
	Device   account.DeviceID // of the peer; zero until one has answered
	Run      []byte           // sealed; empty when no run is going on
	Failed   int              // in a row, within a day of FailedAt
	FailedAt uint64           // ms; zero: none
}

// PutVerification stores v, replacing what was there of the account.
func (tx *Tx) PutVerification(v Verification) error {
	_, err := tx.exec("INSERT INTO verifications VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id,"+
		" device = excluded.device, run = excluded.run, failed = excluded.failed, failed_at = excluded.failed_at",
		v.Account[:], v.ID[:], v.Device[:], tx.rows.seal("verifications.run", v.Account[:], v.Run), v.Failed, v.FailedAt)
	return err
}

// Verification returns what is stored of an account's comparison, or
// ErrNotFound.
func (tx *Tx) Verification(id account.ID) (Verification, error) {
	return one(tx.row("SELECT account, id, device, run, failed, failed_at FROM verifications WHERE account = ?", id[:]),
		func(row scanner) (v Verification, err error) {
			var sealed []byte
			if err := row.Scan(fixed(v.Account[:]), fixed(v.ID[:]), fixed(v.Device[:]), &sealed, &v.Failed, &v.FailedAt); err != nil {
				return Verification{}, err
			}
			v.Run, err = tx.openKeys("verifications.run", v.Account[:], sealed)
			return v, err
		})
}
