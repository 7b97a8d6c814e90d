package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/invite"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/recovery"
	"github.com/posthorn/posthorn/verification"
)

var (
	// ErrNotRecoverable: no account of the name has the phrase's key.
	ErrNotRecoverable = errors.New("no account of this name on this server has the recovery key of this phrase, nothing was changed")
	// ErrOtherAccount: the name belongs to another account than the caller said.
	ErrOtherAccount = errors.New("the server shows another account under this name than the code says, nothing was changed")
)

// Rescue is an account that is to be taken back.
type Rescue struct {
	Name   account.Name
	Server string              // URL
	Pin    *invite.Fingerprint // the server's certificate; nil: the system's authorities vouch for it
	Phrase *secret.Key
	// Code is the account's public code, if the caller knows it. The phrase alone
	// does not say which account is meant: a lying server could show another one
	// to which it has given the same recovery key.
	Code string
	// RemoveOthers takes every other device off the account.
	RemoveOthers bool
}

// Recover makes a new profile a device of an account by its recovery key. All
// keys are stored before the server hears of them; after a crash or a lost
// answer, the same call goes on. Errors: ErrNotRecoverable, ErrOtherAccount,
// verification.ErrCode, ErrProfileExists, ErrDevicesChanged, ErrRosterFull,
// ErrTransparency, ErrOffline, and those of opening a profile. Evidence against the
// server's log stays in the profile's folder, and the next call begins anew.
func Recover(ctx context.Context, cfg Config, r Rescue) (*Client, error) {
	if err := errors.Join(checkPolicy(cfg.Policy), checkDeviceName(cfg.DeviceName)); err != nil {
		return nil, err
	}
	address, err := transport.ParseAddress(r.Server)
	if err != nil {
		return nil, err
	}
	r.Server = address.String()
	if r.Code != "" {
		if r.Code, err = verification.ParsePublicCode(r.Code); err != nil {
			return nil, err
		}
	}
	s := &rescuer{Rescue: r, home: cfg.Home, entropy: pq3.SystemEntropy()}
	if s.recovery, err = recovery.Key(r.Phrase); err != nil {
		return nil, err
	}
	if err := s.arrive(ctx, cfg); err != nil {
		return nil, err
	}
	if err := s.join(ctx); err != nil {
		closed := s.db.Close()
		if s.fresh && (errors.Is(err, ErrNotRecoverable) || errors.Is(err, ErrOtherAccount)) {
			return nil, errors.Join(err, closed, localdb.Remove(cfg.Home))
		}
		return nil, errors.Join(err, closed)
	}
	c, err := attach(cfg, s.db)
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	if err := s.removeRest(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := c.update(ctx, c.tellDeviceName); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// rescuer is a device on its way onto an account.
type rescuer struct {
	Rescue
	recovery *account.SigningKey
	entropy  pq3.Entropy
	home     string
	db       *localdb.DB
	fresh    bool // this call made the profile
	row      localdb.Profile
	key      *account.SigningKey // of the device
}

// arrive makes the profile, or opens that of a call that did not get through.
func (s *rescuer) arrive(ctx context.Context, cfg Config) (err error) {
	s.db, err = localdb.Open(cfg.Home, cfg.unlock())
	if errors.Is(err, localdb.ErrNoProfile) {
		return s.begin(ctx, cfg)
	}
	if err != nil {
		return err
	}
	var waiting bool
	err = s.db.View(ctx, func(tx *localdb.Tx) (err error) {
		if s.row, err = tx.Profile(); err != nil {
			return err
		}
		waiting, err = tx.Rescue()
		return err
	})
	if err == nil && !waiting || errors.Is(err, localdb.ErrNotFound) {
		err = ErrProfileExists
	}
	if err == nil {
		s.key, err = s.row.KeySeeds.SigningKey()
	}
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	s.describe()
	return nil
}

// describe takes the place that this call names: an earlier one may have
// misspelt it.
func (s *rescuer) describe() {
	s.row.Name, s.row.ServerURL, s.row.Pin = s.Name, s.Server, nil
	if s.Pin != nil {
		s.row.Pin = s.Pin[:]
	}
}

// begin draws the device's keys and stores them.
func (s *rescuer) begin(ctx context.Context, cfg Config) (err error) {
	s.fresh = true
	s.row = localdb.Profile{CreatedAt: millis(clock.Now())}
	s.describe()
	s.key, s.row.KeySeeds = account.GenerateSigningKey(s.entropy.Read)
	s.entropy.Read(s.row.Device[:])
	if s.db, err = localdb.Create(cfg.Home, cfg.unlock()); err != nil {
		return err
	}
	err = s.db.Update(ctx, func(tx *localdb.Tx) error {
		return errors.Join(tx.PutProfile(s.row), tx.PutRescue(), putDeviceName(tx, s.row, cfg.DeviceName))
	})
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// join puts the device on the account, unless an earlier call did: the roster
// says. A lost race is run once more.
func (s *rescuer) join(ctx context.Context) error {
	server, err := transport.New(s.Server, transport.Device{Rand: s.entropy.SignReader()}, transport.Options{Pin: s.Pin})
	if err != nil {
		return err
	}
	defer server.Close()
	for range 2 {
		if err = s.tryJoin(ctx, server); !errors.Is(err, ErrDevicesChanged) {
			return err
		}
	}
	return err
}

func (s *rescuer) tryJoin(ctx context.Context, server *transport.Client) error {
	roster, err := s.find(ctx, server)
	if err != nil {
		return err
	}
	s.row.Account = roster.ID()
	bundle, err := s.bundle(ctx)
	if err != nil {
		return err
	}
	if _, present := roster.Device(s.row.Device); !present {
		statement, err := roster.Propose(account.Author{Key: s.recovery}, []*account.SigningKey{s.key},
			millis(clock.Now()), s.entropy.SignReader(), s.operations(roster)...)
		if err != nil {
			return err
		}
		if err := server.UpdateRoster(ctx, statement.Marshal(), [][]byte{bundle.Marshal()}); err != nil {
			return joinFailed(err)
		}
		if roster, err = roster.Apply(statement); err != nil {
			return err
		}
	}
	s.row.Statements, s.row.Registered = roster.Statements(), true
	return s.db.Update(ctx, func(tx *localdb.Tx) error {
		return errors.Join(tx.PutProfile(s.row), tx.MarkPublished(bundle.Hash()), tx.DeleteRescue())
	})
}

// joinFailed keeps apart what another call may mend.
func joinFailed(err error) error {
	if verdict, final := changeRefused(err); final {
		return verdict
	}
	return remote(err)
}

// find gets the account that has the recovery key, as the server's log proves it.
func (s *rescuer) find(ctx context.Context, server *transport.Client) (*account.Roster, error) {
	q := &inquirer{home: s.home, db: s.db, server: server, watch: newWatch()}
	record, proof, err := q.firstMet(ctx, func() (transport.Record, *proof, error) { return q.foundRecoverable(ctx, s.Name, s.recovery) })
	if errors.Is(err, transport.ErrUnauthenticated) {
		return nil, fmt.Errorf("%w (%w)", ErrNotRecoverable, err)
	}
	if err != nil {
		return nil, remote(err)
	}
	shown, err := verifyRecord(record)
	if err != nil {
		return nil, err
	}
	if shown.roster.Recovery() == nil || !shown.roster.Recovery().Equal(s.recovery.Public()) {
		return nil, ErrNotRecoverable
	}
	if s.Code != "" && s.Code != verification.PublicCode(personOf(shown.row)) {
		return nil, ErrOtherAccount
	}
	return shown.roster, q.update(ctx, proof.store)
}

// bundle is the first one of the device: that of an earlier call, or a new one,
// which is stored.
func (s *rescuer) bundle(ctx context.Context) (bundle *account.Bundle, err error) {
	me, err := pq3.NewIdentity(account.Party{Account: s.row.Account, Device: s.device()}, s.key)
	if err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, func(tx *localdb.Tx) error {
		row, err := tx.NewestPrekey(account.PQ3A)
		known, err := found(err)
		if err != nil {
			return err
		}
		if known && clock.Since(instant(row.NotBefore)) < prekeyLife {
			if bundle, err = bundleOf(row); err != nil {
				return err
			}
			if bundle.Verify(account.Party{Account: s.row.Account, Device: s.device()}, clock.Now()) == nil {
				return tx.PutProfile(s.row)
			}
		}
		prekey, err := newPrekey(me, s.entropy, clock.Now())
		if err != nil {
			return err
		}
		bundle = prekey.Bundle()
		return errors.Join(tx.PutProfile(s.row), putPrekey(tx, prekey))
	})
	return bundle, err
}

// device is the public record of the new device.
func (s *rescuer) device() *account.Device {
	return &account.Device{ID: s.row.Device, Key: s.key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: s.row.CreatedAt}
}

// maxRemovals is how many removals one statement holds beside an addition.
const maxRemovals = 15

// operations add the device and, if that was asked for, remove others.
func (s *rescuer) operations(roster *account.Roster) (ops []account.Operation) {
	if s.RemoveOthers {
		ops = removals(roster, s.row.Device)
	}
	return append(ops, account.AddDevice{Device: s.device()})
}

// removals are for the first devices beside one, as many as a statement holds.
func removals(roster *account.Roster, stays account.DeviceID) (ops []account.Operation) {
	others := slices.DeleteFunc(roster.Devices(), func(d *account.Device) bool { return d.ID == stays })
	for _, d := range others[:min(len(others), maxRemovals)] {
		ops = append(ops, account.RemoveDevice{ID: d.ID})
	}
	return ops
}

// removeRest removes devices that the first statement had no room for.
func (s *rescuer) removeRest(ctx context.Context, c *Client) error {
	for s.RemoveOthers {
		me, err := c.knownByID(ctx, c.profile.Account)
		if err != nil || len(me.roster.Devices()) == 1 {
			return err
		}
		err = c.changeRoster(ctx, func(r *account.Roster) (account.Author, []account.Operation, error) {
			return account.Author{Key: s.recovery}, removals(r, c.profile.Device), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
