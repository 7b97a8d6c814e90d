package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/invite"
	"github.com/posthorn/posthorn/pq3"
)

// Register makes an account: device keys, roster statement 0, a prekey bundle,
// all stored before the server hears of them, then the name. After a crash or
// a lost answer, call it again with the same name and server: it goes on with
// the same keys. An unfinished registration of another server is thrown away,
// and so is one of another name. Errors: ErrNameTaken and
// ErrRegistrationClosed (a profile that this call made is removed again),
// ErrProfileExists,
// ErrOffline, ErrLocked, ErrNoPassphrase, ErrWrongPassphrase,
// ErrDeviceName, transport.ErrAddress, transport.ErrCertificate, transport.ErrClassical.
func Register(ctx context.Context, cfg Config, name account.Name, serverURL string) (*Client, error) {
	return register(ctx, cfg, goal{name: name, server: serverURL})
}

// RegisterInvited is Register with an invite, which says where the server is
// and which certificate it shows. The server may have noted the invite for
// these keys even if it refuses the name in the end, so they are kept for
// another name. Errors beside those of Register: ErrInviteUnknown,
// ErrInviteUsed, ErrInviteExpired, ErrInviteRevoked.
func RegisterInvited(ctx context.Context, cfg Config, name account.Name, link invite.Link) (*Client, error) {
	return register(ctx, cfg, goal{name: name, server: link.Server, invite: &link})
}

// goal is what an account is to be made as, and where.
type goal struct {
	name   account.Name
	server string
	invite *invite.Link // nil: the server lets everybody in
}

func (p goal) pin() []byte {
	if p.invite == nil || p.invite.Pin == nil {
		return nil
	}
	return p.invite.Pin[:]
}

func register(ctx context.Context, cfg Config, p goal) (*Client, error) {
	name, err := account.ParseName(string(p.name))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(checkPolicy(cfg.Policy), checkDeviceName(cfg.DeviceName)); err != nil {
		return nil, err
	}
	address, err := transport.ParseAddress(p.server)
	if err != nil {
		return nil, err
	}
	p.name, p.server = name, address.String()
	db, fresh, err := unfinished(ctx, cfg, p)
	if err != nil {
		return nil, err
	}
	c, err := attach(cfg, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := c.finishRegistration(ctx, p.invite); err != nil {
		closed := c.Close()
		// The server may have noted another invite for keys of an earlier attempt.
		if fresh && refusedForGood(err, p.invite != nil) {
			return nil, errors.Join(err, closed, localdb.Remove(cfg.Home))
		}
		return nil, errors.Join(err, closed)
	}
	return c, nil
}

// refusedForGood says that the new keys are of no use: the server has nothing
// of them and will take nothing.
func refusedForGood(err error, invited bool) bool {
	for _, refused := range []error{ErrRegistrationClosed, ErrInviteUnknown, ErrInviteUsed, ErrInviteExpired, ErrInviteRevoked} {
		if errors.Is(err, refused) {
			return true
		}
	}
	return errors.Is(err, ErrNameTaken) && !invited
}

// unfinished opens the profile of a registration that did not get through, or
// makes a new one, which is fresh: the server has never heard of its keys. Keys
// are never dropped for others here: an invite may be spent for them, at this
// server or at another one.
func unfinished(ctx context.Context, cfg Config, p goal) (db *localdb.DB, fresh bool, err error) {
	db, err = localdb.Open(cfg.Home, cfg.unlock())
	if errors.Is(err, localdb.ErrNoProfile) {
		db, err = newProfile(ctx, cfg, p)
		return db, true, err
	}
	if err != nil {
		return nil, false, err
	}
	var row localdb.Profile
	err = db.View(ctx, func(tx *localdb.Tx) (err error) {
		row, err = tx.Profile()
		return err
	})
	switch exists, err := found(err); {
	case err != nil:
		return nil, false, errors.Join(err, db.Close())
	case exists && (row.Registered || len(row.Statements) == 0): // or it waits to get onto an account
		return nil, false, errors.Join(ErrProfileExists, db.Close())
	case exists: // whatever name, server or invite it was begun with, which may be spent for these keys
		row.Name, row.ServerURL, row.Pin = p.name, p.server, p.pin()
		err := db.Update(ctx, func(tx *localdb.Tx) error {
			return errors.Join(tx.PutProfile(row), putDeviceName(tx, row, cfg.DeviceName))
		})
		if err != nil {
			return nil, false, errors.Join(err, db.Close())
		}
		return db, false, nil
	}
	if err := errors.Join(db.Close(), localdb.Remove(cfg.Home)); err != nil {
		return nil, false, err
	}
	db, err = newProfile(ctx, cfg, p)
	return db, true, err
}

// newProfile makes the folder with everything a device needs to register.
func newProfile(ctx context.Context, cfg Config, p goal) (*localdb.DB, error) {
	row, prekey, err := newAccount(clock.Now())
	if err != nil {
		return nil, err
	}
	row.Name, row.ServerURL, row.Pin = p.name, p.server, p.pin()
	db, err := localdb.Create(cfg.Home, cfg.unlock())
	if err != nil {
		return nil, err
	}
	if err := db.Update(ctx, func(tx *localdb.Tx) error {
		return errors.Join(tx.PutProfile(row), putDeviceName(tx, row, cfg.DeviceName), putPrekey(tx, prekey))
	}); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// newAccount draws the keys of a first device and founds its account.
func newAccount(now time.Time) (localdb.Profile, *pq3.Prekey, error) {
	entropy := pq3.SystemEntropy()
	key, seeds := account.GenerateSigningKey(entropy.Read)
	device := &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: millis(now)}
	entropy.Read(device.ID[:])
	statement, err := account.NewAccount(device, key, millis(now), entropy.SignReader())
	if err != nil {
		return localdb.Profile{}, nil, err
	}
	roster, err := account.StartRoster(statement)
	if err != nil {
		return localdb.Profile{}, nil, err
	}
	me, err := pq3.NewIdentity(account.Party{Account: roster.ID(), Device: device}, key)
	if err != nil {
		return localdb.Profile{}, nil, err
	}
	prekey, err := newPrekey(me, entropy, now)
	return localdb.Profile{
		Account: roster.ID(), Device: device.ID, Statements: [][]byte{statement.Marshal()},
		KeySeeds: seeds, CreatedAt: millis(now),
	}, prekey, err
}

// finishRegistration takes the stored account to the server and notes success.
func (c *Client) finishRegistration(ctx context.Context, with *invite.Link) error {
	bundle, err := c.firstBundle(ctx)
	if err != nil {
		return err
	}
	if with == nil {
		err = c.server.Register(ctx, c.profile.Name, c.profile.Statements[0], bundle.Marshal())
	} else {
		err = c.server.RegisterInvited(ctx, c.profile.Name, with.Token, c.profile.Statements[0], bundle.Marshal())
	}
	if err := c.registration(ctx, err); err != nil {
		return err
	}
	c.profile.Registered = true
	if err := c.update(ctx, func(tx *localdb.Tx) error {
		if err := tx.MarkPublished(bundle.Hash()); err != nil {
			return err
		}
		return tx.PutProfile(c.profile)
	}); err != nil {
		return err
	}
	return c.watchOwnName(ctx)
}

// firstBundle is that of the stored prekey, or of a new one if the registration
// was interrupted long ago.
func (c *Client) firstBundle(ctx context.Context) (bundle *account.Bundle, err error) {
	err = c.update(ctx, func(tx *localdb.Tx) error {
		row, err := tx.NewestPrekey(account.PQ3A)
		known, err := found(err)
		if err != nil {
			return err
		}
		if known && clock.Since(instant(row.NotBefore)) < prekeyLife {
			bundle, err = bundleOf(row)
			return err
		}
		prekey, err := newPrekey(c.me, c.entropy, clock.Now())
		if err != nil {
			return err
		}
		bundle = prekey.Bundle()
		return putPrekey(tx, prekey)
	})
	return bundle, err
}

// registration reads the server's verdict. A name that is taken may be taken
// by this very account, if an earlier attempt got through and its answer was
// lost: then the directory says so.
func (c *Client) registration(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, transport.ErrNameTaken):
		record, lookup := c.server.AccountByName(ctx, c.profile.Name)
		if lookup == nil && string(record.Account) == string(c.profile.Account[:]) {
			return nil
		}
		return ErrNameTaken
	case errors.Is(err, transport.ErrDenied):
		return fmt.Errorf("%w (%w)", denied(err), err)
	case err != nil:
		return remote(err)
	}
	return nil
}

// denied is the sentinel for why the server makes no account.
func denied(err error) error {
	var refused *transport.Error
	if !errors.As(err, &refused) {
		return ErrRegistrationClosed
	}
	switch refused.Reason {
	case api.ReasonInviteUnknown:
		return ErrInviteUnknown
	case api.ReasonInviteUsed:
		return ErrInviteUsed
	case api.ReasonInviteExpired:
		return ErrInviteExpired
	case api.ReasonInviteRevoked:
		return ErrInviteRevoked
	case api.ReasonAccountDisabled:
		return ErrAccountDisabled
	default:
		return ErrRegistrationClosed
	}
}
