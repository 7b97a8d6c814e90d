package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/invite"
	"github.com/posthorn/posthorn/pq3"
)

// Config says where a profile lives and how it is unlocked.
type Config struct {
	// Home is the profile's folder. It is made if it does not exist.
	Home string
	// Passphrase is asked only when no key store holds the key; create is true
	// for a new profile. The engine wipes what it returns.
	Passphrase func(create bool) ([]byte, error)
	// UseKeyStore keeps a new profile's key in the key store of the operating
	// system, if there is one.
	UseKeyStore bool
	// Log gets what the engine does, without names, texts or ids at info level.
	// Nil discards it.
	Log *slog.Logger
	// DeviceName is what the user calls the device of a profile that Register,
	// RegisterInvited or Recover makes, 1 to MaxDeviceName bytes; empty: none
	// until it is renamed. Link is told it by itself.
	DeviceName string
	// Policy is the healing contract; zero fields mean the default.
	Policy pq3.Policy
	// KDF is the passphrase cost of a new profile; zero means the default.
	KDF localdb.KDF
}

func (c Config) logger() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}

func (c Config) unlock() localdb.Unlock {
	return localdb.Unlock{Passphrase: c.Passphrase, UseKeyStore: c.UseKeyStore, KDF: c.KDF}
}

// Client is one open profile. It is safe for concurrent use. Close it to let
// another process have the profile.
type Client struct {
	inquirer
	log     *slog.Logger
	policy  pq3.Policy
	profile localdb.Profile // name, server, keys: fixed once registered
	me      *pq3.Identity
	key     *account.SigningKey
	roster  atomic.Pointer[account.Roster] // of this account, as last stored
	entropy pq3.Entropy

	events    *events
	line      *line
	rosters   *rosterCache
	duties    *duties
	refusals  *refusals
	baselines *baselines
	transmit  sync.Mutex // one flush of the outbox at a time
}

// Format shows nothing of the profile, whose keys are in it.
func (c *Client) Format(f fmt.State, _ rune) { secret.Redact(f) }

// Open unlocks and opens an existing profile without touching the network.
// Errors: ErrNoProfile, ErrLocked, ErrNoPassphrase, ErrWrongPassphrase,
// pq3.ErrPolicy.
func Open(cfg Config) (*Client, error) {
	if err := checkPolicy(cfg.Policy); err != nil {
		return nil, err
	}
	db, err := localdb.Open(cfg.Home, cfg.unlock())
	if err != nil {
		return nil, err
	}
	c, err := attach(cfg, db)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	if !c.profile.Registered {
		_ = c.Close()
		return nil, fmt.Errorf("%w: its registration was not finished; run register again", ErrNoProfile)
	}
	return c, nil
}

// checkPolicy refuses a policy that pq3 would refuse at every message.
func checkPolicy(p pq3.Policy) error {
	loosest := pq3.DefaultPolicy()
	if p.EveryMessages < 0 || p.EveryMessages > loosest.EveryMessages ||
		p.Every < 0 || p.Every > loosest.Every || p.Hard < 0 || p.Hard > loosest.Hard {
		return pq3.ErrPolicy
	}
	return nil
}

// attach builds a Client over an open database that holds a profile row.
func attach(cfg Config, db *localdb.DB) (*Client, error) {
	c := &Client{
		inquirer: inquirer{home: cfg.Home, db: db, watch: newWatch()},
		log:      cfg.logger(), policy: cfg.Policy, entropy: pq3.SystemEntropy(),
		events: newEvents(), line: newLine(), rosters: newRosterCache(),
		duties: newDuties(), refusals: newRefusals(), baselines: newBaselines(),
	}
	if err := db.View(context.Background(), func(tx *localdb.Tx) (err error) {
		c.profile, err = tx.Profile()
		return err
	}); errors.Is(err, localdb.ErrNotFound) {
		return nil, ErrNoProfile
	} else if err != nil {
		return nil, err
	}
	if !c.profile.Registered && len(c.profile.Statements) == 0 {
		return nil, fmt.Errorf("%w: this device is not on its account yet; run the command that made it again", ErrNoProfile)
	}
	if err := c.identify(); err != nil {
		return nil, err
	}
	if db.Restored() {
		if err := c.startAfresh(context.Background()); err != nil {
			return nil, err
		}
	}
	pin, err := pinOf(c.profile)
	if err != nil {
		return nil, err
	}
	c.server, err = transport.New(c.profile.ServerURL, transport.Device{
		Account: c.profile.Account, ID: c.profile.Device,
		Key: c.key, Rand: c.entropy.SignReader(), Seat: seating{db, c.entropy, c.profile.Account, c.profile.Device, c.key.Public()},
	}, transport.Options{Pin: pin})
	return c, err
}

// pinOf is the certificate that the profile was told to expect, if any.
func pinOf(p localdb.Profile) (*invite.Fingerprint, error) {
	if p.Pin == nil {
		return nil, nil
	}
	if len(p.Pin) != len(invite.Fingerprint{}) {
		return nil, fmt.Errorf("the profile's note of the server's certificate is damaged: %w", ErrNoProfile)
	}
	pin := invite.Fingerprint(p.Pin)
	return &pin, nil
}

// identify rebuilds this device's identity from the stored roster and seeds.
func (c *Client) identify() error {
	roster, err := account.ReplayRoster(c.profile.Statements)
	if err != nil {
		return err
	}
	device, ok := roster.Device(c.profile.Device)
	if !ok {
		device, ok = roster.Removed(c.profile.Device)
	}
	if !ok {
		return fmt.Errorf("%w: this device is not in its own roster", ErrRoster)
	}
	if c.key, err = c.profile.KeySeeds.SigningKey(); err != nil {
		return err
	}
	c.me, err = pq3.NewIdentity(account.Party{Account: roster.ID(), Device: device}, c.key)
	return err
}

// Close releases the profile. Calls in progress must have ended.
func (c *Client) Close() error {
	c.server.Close()
	return c.db.Close()
}

// Name is the name this account registered.
func (c *Client) Name() account.Name { return c.profile.Name }

// AccountID is the id of this account.
func (c *Client) AccountID() account.ID { return c.profile.Account }

// Self is who this profile is: one device of one account.
type Self struct {
	Name    account.Name
	Account account.ID
	Device  account.DeviceID
}

// Self returns it.
func (c *Client) Self() Self { return Self{c.profile.Name, c.profile.Account, c.profile.Device} }

// millis is a time as rows and the wire have it: Unix milliseconds.
func millis(t time.Time) uint64 { return uint64(max(0, t.UnixMilli())) }

// instant is the reverse of millis, in UTC.
func instant(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }
