package localdb

import (
	"errors"
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/secret"
)

// Profile is who this device is. A database holds at most one.
type Profile struct {
	Name       account.Name
	ServerURL  string
	Pin        []byte // SHA-256 of the server's certificate; nil: the system's authorities vouch for it
	Account    account.ID
	Device     account.DeviceID
	Statements [][]byte         // the account's roster, encoded, oldest first
	KeySeeds   account.KeySeeds // of the device's signing key; sealed
	CreatedAt  uint64           // ms
	Registered bool             // the server has confirmed the name
}

// PutProfile stores p in the place of an earlier one.
func (tx *Tx) PutProfile(p Profile) error {
	seeds := slices.Concat(p.KeySeeds.ECDSA[:], p.KeySeeds.MLDSA[:])
	defer secret.Wipe(seeds)
	_, err := tx.exec("INSERT INTO profile VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name,"+
		" server = excluded.server, account = excluded.account, device = excluded.device, statements = excluded.statements,"+
		" seeds = excluded.seeds, created = excluded.created, registered = excluded.registered",
		string(p.Name), p.ServerURL, p.Account[:], p.Device[:], packList(p.Statements),
		tx.rows.seal("profile.seeds", p.Device[:], seeds), p.CreatedAt, p.Registered)
	if err != nil {
		return err
	}
	return tx.putMeta(metaPin, blob(p.Pin))
}

// metaPin is where the server's certificate is noted. An older program does not
// look there, and then refuses a certificate that nobody vouches for.
const metaPin = "server pin"

// Profile returns the profile, or ErrNotFound before the first PutProfile.
func (tx *Tx) Profile() (Profile, error) {
	p, err := one(tx.row("SELECT name, server, account, device, statements, seeds, created, registered FROM profile"), tx.scanProfile)
	if err != nil {
		return Profile{}, err
	}
	pin, err := tx.meta(metaPin)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Profile{}, err
	}
	if len(pin) > 0 {
		p.Pin = pin
	}
	return p, nil
}

func (tx *Tx) scanProfile(row scanner) (p Profile, err error) {
	var statements, sealed []byte
	if err := row.Scan(&p.Name, &p.ServerURL, fixed(p.Account[:]), fixed(p.Device[:]), &statements, &sealed, &p.CreatedAt, &p.Registered); err != nil {
		return Profile{}, err
	}
	if p.Statements, err = unpackList(statements); err != nil {
		return Profile{}, err
	}
	seeds, err := tx.openKeys("profile.seeds", p.Device[:], sealed)
	if err != nil {
		return Profile{}, err
	}
	if len(seeds) != len(p.KeySeeds.ECDSA)+len(p.KeySeeds.MLDSA) {
		return Profile{}, corrupt("profile.seeds")
	}
	copy(p.KeySeeds.ECDSA[:], seeds)
	copy(p.KeySeeds.MLDSA[:], seeds[len(p.KeySeeds.ECDSA):])
	return p, nil
}
