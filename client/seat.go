package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/pq3"
)

// seating keeps the seat of a profile on disk. A token lives in memory only,
// so every process logs in before it sends anything, and a profile that another
// copy has overtaken finds out before one of its bytes is on the wire.
type seating struct {
	db      *localdb.DB
	entropy pq3.Entropy
	account account.ID
	device  account.DeviceID
	key     *account.VerifyingKey // of the device
}

// Claim draws the next value, or repeats the one whose login may have got lost.
func (s seating) Claim(ctx context.Context) (number uint64, value, next [16]byte, err error) {
	err = s.db.Update(ctx, func(tx *localdb.Tx) error {
		seat, err := tx.Seat()
		if err != nil {
			return err
		}
		if seat.Behind {
			return reject.New("V-241", ErrCloned, "it has to become a device of its own")
		}
		if seat.Next == [16]byte{} {
			s.entropy.Read(seat.Next[:])
			if err := tx.PutSeat(seat); err != nil {
				return err
			}
		}
		number, value, next = seat.Number, seat.Value, seat.Next
		return nil
	})
	return number, value, next, err
}

// Taken moves on. copied is the alarm on the side that is ahead.
func (s seating) Taken(ctx context.Context, copied bool) error {
	return s.db.Update(ctx, func(tx *localdb.Tx) error {
		seat, err := tx.Seat()
		if err != nil {
			return err
		}
		seat.Number, seat.Value, seat.Next = seat.Number+1, seat.Next, [16]byte{}
		if err := tx.PutSeat(seat); err != nil || !copied {
			return err
		}
		if err := tx.MarkWorn(); err != nil { // whoever has the copy has its prekeys
			return err
		}
		return notify(tx, "ALARM: an older copy of this profile has tried to use this device, and the server turned it away. If you have not put back a backup yourself, somebody has a copy of your profile: link a new device and remove this one")
	})
}

// Behind believes that another copy has gone on if it is shown a login that this
// profile has not made, signed with the device's key. Then it erases what the
// copy may have gone on with, for good: whatever becomes of this profile, it never
// sends on a session again, and the error is ErrCloned. Without a proof nothing is
// erased, and the error is ErrCopyUnproven.
func (s seating) Behind(ctx context.Context, ahead *transport.Login) error {
	proven := false
	err := s.db.Update(ctx, func(tx *localdb.Tx) error {
		seat, err := tx.Seat()
		if err != nil {
			return err
		}
		if proven = s.overtakes(seat, ahead); !proven {
			return nil
		}
		seat.Behind = true
		if err := errors.Join(tx.PutSeat(seat), eraseRatchets(tx)); err != nil {
			return err
		}
		return notify(tx, "ALARM: another copy of this profile has gone on, so this one was not let in. If this is a backup that you put back, 'posthorn device renew' makes it a device of its own; if not, somebody has a copy of your profile")
	})
	switch {
	case err != nil:
		return err
	case !proven:
		return reject.New("V-295", ErrCopyUnproven, "it shows no login that another copy must have made")
	}
	return reject.New("V-241", ErrCloned, "a login that another copy has made was shown")
}

// overtakes reports whether a login is this device's and another copy's. At each
// number a profile draws one value, and keeps it before it signs anything: another
// one under its last two numbers, or anything under a later number, is none of its
// own. An earlier number may be.
func (s seating) overtakes(mine localdb.Seat, l *transport.Login) bool {
	if l == nil || s.key.VerifyECDSA(api.SeatBytes(s.account, s.device, l.Number, l.Value, l.Next), l.Signature[:]) != nil {
		return false
	}
	switch {
	case l.Number > mine.Number:
		return true
	case l.Number == mine.Number:
		return l.Value != mine.Value || l.Next != mine.Next
	default:
		return l.Number+1 == mine.Number && l.Next != mine.Value
	}
}

// eraseRatchets removes every ratchet, and queues the texts that no server has
// accepted for new sessions.
func eraseRatchets(tx *localdb.Tx) error {
	unsent, err := tx.EraseRatchets()
	if err != nil {
		return err
	}
	for _, m := range unsent {
		contact, err := tx.Contact(m.Account)
		if known, err := found(err); err != nil {
			return err
		} else if !known {
			continue
		}
		if err := tx.PutQueuedText(localdb.QueuedText{Content: m.ID, Name: contact.Name, Text: m.Body, Created: m.SentAt}); err != nil {
			return err
		}
	}
	return nil
}

// Renew makes a profile that was put back from a copy a device of its own, in
// the place of the device that it was: with new keys, no session, and all its
// contacts and texts. The copied device is off the account with it, so whoever
// else has a copy is out. It may be repeated. Errors: ErrNoProfile,
// ErrRenewTooLate (the account's devices have changed since the copy was made:
// link a new device), ErrOffline.
func Renew(ctx context.Context, cfg Config) (*Client, error) {
	db, err := localdb.Open(cfg.Home, cfg.unlock())
	if err != nil {
		return nil, err
	}
	if err := renew(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	c, err := attach(cfg, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := c.update(ctx, c.tellDeviceName); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func renew(ctx context.Context, db *localdb.DB) error {
	var row localdb.Profile
	var next localdb.Renewal
	err := db.Update(ctx, func(tx *localdb.Tx) (err error) {
		if row, err = tx.Profile(); err != nil {
			return err
		}
		if next, err = tx.Renewal(); !errors.Is(err, localdb.ErrNotFound) {
			return err
		}
		if next, err = newRenewal(row, pq3.SystemEntropy()); err != nil {
			return err
		}
		return tx.PutRenewal(next)
	})
	if errors.Is(err, localdb.ErrNotFound) || err == nil && !row.Registered {
		return ErrNoProfile
	}
	if err != nil {
		return err
	}
	if err := publishRenewal(ctx, row, next); err != nil {
		if errors.Is(err, ErrRenewTooLate) {
			err = errors.Join(err, db.Update(ctx, func(tx *localdb.Tx) error { return tx.DropRenewal() }))
		}
		return err
	}
	return db.Update(ctx, func(tx *localdb.Tx) error { return become(tx, row) })
}

// newRenewal draws the keys of the next device, and signs that it takes the
// place of this one.
func newRenewal(row localdb.Profile, entropy pq3.Entropy) (next localdb.Renewal, err error) {
	roster, err := account.ReplayRoster(row.Statements)
	if err != nil {
		return next, err
	}
	old, err := row.KeySeeds.SigningKey()
	if err != nil {
		return next, err
	}
	now := clock.Now()
	key, seeds := account.GenerateSigningKey(entropy.Read)
	device := &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: millis(now)}
	entropy.Read(device.ID[:])
	if present, ok := roster.Device(row.Device); ok {
		device.Name = present.Name
	}
	statement, err := roster.Propose(account.Author{Device: &row.Device, Key: old}, []*account.SigningKey{key}, millis(now), entropy.SignReader(),
		account.AddDevice{Device: device}, account.RemoveDevice{ID: row.Device})
	if err != nil {
		return next, err
	}
	me, err := pq3.NewIdentity(account.Party{Account: row.Account, Device: device}, key)
	if err != nil {
		return next, err
	}
	prekey, err := newPrekey(me, entropy, now)
	if err != nil {
		return next, err
	}
	return localdb.Renewal{
		Device: device.ID, KeySeeds: seeds, CreatedAt: millis(now), Statement: statement.Marshal(),
		Bundle: prekey.Bundle().Marshal(), Prekey: prekey.Marshal(),
	}, nil
}

func publishRenewal(ctx context.Context, row localdb.Profile, next localdb.Renewal) error {
	pin, err := pinOf(row)
	if err != nil {
		return err
	}
	server, err := transport.New(row.ServerURL, transport.Device{}, transport.Options{Pin: pin})
	if err != nil {
		return err
	}
	defer server.Close()
	_, err = persist(ctx, patience, func() (struct{}, error) {
		return struct{}{}, server.UpdateRoster(ctx, next.Statement, [][]byte{next.Bundle})
	})
	if errors.Is(err, transport.ErrRosterChanged) {
		return fmt.Errorf("%w (%w)", ErrRenewTooLate, err)
	}
	if err != nil {
		return remote(err)
	}
	return nil
}

// become makes the profile the device of its renewal.
func become(tx *localdb.Tx, row localdb.Profile) error {
	next, err := tx.Renewal()
	if err != nil {
		return err
	}
	prekey, err := pq3.ParsePrekey(slices.Clone(next.Prekey))
	if err != nil {
		return err
	}
	names, err := tx.DeviceNames()
	if err != nil {
		return err
	}
	for _, n := range names {
		if n.Device == row.Device { // to its owner it is the same device
			n.Device, n.At = next.Device, next.CreatedAt
			if err := tx.PutDeviceName(n); err != nil {
				return err
			}
		}
	}
	row.Device, row.KeySeeds, row.CreatedAt = next.Device, next.KeySeeds, next.CreatedAt
	row.Statements = append(row.Statements, next.Statement)
	if err := errors.Join(eraseRatchets(tx), tx.ReplaceDevice(row), putPrekey(tx, prekey)); err != nil {
		return err
	}
	return errors.Join(tx.MarkPublished(prekey.Hash()), notify(tx, "this profile is a new device of your account now, and the one it was a copy of is off the account; contacts and messages in this profile stay, but what others sent after the copy was made is not in it, and what still waited at the server for the old device cannot be read any more"))
}
