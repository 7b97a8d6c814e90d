package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
)

// Device is one device of this account.
type Device struct {
	ID      account.DeviceID
	Name    string    // what the user calls it; may be empty
	AddedAt time.Time // by its own clock
	This    bool
}

// Devices lists the devices of this account, this one first, then the oldest
// first. It asks the directory when it can be reached.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	if err := c.lookAtSelf(ctx); err != nil && !errors.Is(err, ErrRemoved) {
		return nil, err
	}
	var all []Device
	err := c.view(ctx, func(tx *localdb.Tx) error {
		me, err := c.self(tx)
		if err != nil {
			return err
		}
		rows, err := tx.DeviceNames()
		if err != nil {
			return err
		}
		names := map[account.DeviceID]string{}
		for _, row := range rows {
			names[row.Device] = row.Name
		}
		for _, d := range me.roster.Devices() {
			listed := Device{ID: d.ID, Name: names[d.ID], AddedAt: instant(d.CreatedAt), This: d.ID == c.profile.Device}
			if listed.This {
				all = append([]Device{listed}, all...)
			} else {
				all = append(all, listed)
			}
		}
		return nil
	})
	return all, err
}

// RenameDevice changes what the user calls one of the own devices, on all of
// them. The name never leaves them: it is no part of the roster, so neither the
// server nor a contact sees it or that it changed. Errors: ErrNoDevice,
// ErrDeviceName.
func (c *Client) RenameDevice(ctx context.Context, id account.DeviceID, name string) error {
	if name = strings.TrimSpace(name); name == "" || len(name) > maxDeviceName || !utf8.ValidString(name) {
		return ErrDeviceName
	}
	err := c.update(ctx, func(tx *localdb.Tx) error {
		me, err := c.self(tx)
		if err != nil {
			return err
		}
		if _, ok := me.roster.Device(id); !ok {
			return ErrNoDevice
		}
		n := localdb.DeviceName{Device: id, Name: name, At: millis(clock.Now())}
		return errors.Join(tx.PutDeviceName(n), c.tell(tx, newsName{n}))
	})
	if err != nil {
		return err
	}
	if err := c.sendWaiting(ctx); err != nil && !passing(err) {
		return err
	}
	return nil
}

// RemoveDevices takes devices off this account for good. The server ends what
// they have open; every contact refuses them from its next look at the account
// on, and what they could know is not used any more: the remaining devices
// renew their prekeys. Errors: ErrNoDevice, ErrThisDevice, ErrHeld,
// ErrDevicesChanged, ErrOffline.
func (c *Client) RemoveDevices(ctx context.Context, ids ...account.DeviceID) error {
	return c.changeRoster(ctx, func(roster *account.Roster) (ops []account.Operation, err error) {
		for _, id := range ids {
			if id == c.profile.Device {
				return nil, ErrThisDevice
			}
			if _, ok := roster.Device(id); !ok {
				return nil, ErrNoDevice
			}
			ops = append(ops, account.RemoveDevice{ID: id})
		}
		return ops, nil
	})
}

// rosterTries is how often a change is made anew because another device came
// first.
const rosterTries = 3

// changeRoster signs the next statement with this device and has the server
// store it. Where another device is faster the operations are asked for again,
// with the roster as that one left it.
func (c *Client) changeRoster(ctx context.Context, ops func(*account.Roster) ([]account.Operation, error)) error {
	for range rosterTries {
		me, err := c.findByID(ctx, c.profile.Account, true)
		if err != nil {
			return c.expelled(ctx, err)
		}
		wanted, err := ops(me.roster)
		if err != nil {
			return err
		}
		author := account.Author{Device: &c.profile.Device, Key: c.key}
		statement, err := me.roster.Propose(author, nil, millis(clock.Now()), c.entropy.SignReader(), wanted...)
		if err != nil {
			return err
		}
		err = c.server.UpdateRoster(ctx, statement.Marshal(), nil)
		switch {
		case errors.Is(err, transport.ErrRosterChanged):
			continue
		case errors.Is(err, transport.ErrHeld):
			return fmt.Errorf("%w (%w)", ErrHeld, err)
		case err != nil:
			return remote(err)
		}
		return c.followChange(ctx, me, statement)
	}
	return ErrDevicesChanged
}

// followChange takes over a statement that the server has stored.
func (c *Client) followChange(ctx context.Context, me person, statement *account.Statement) error {
	roster, err := me.roster.Apply(statement)
	if err != nil {
		return err
	}
	now := me
	now.roster, now.row.Statements = roster, roster.Statements()
	if err := c.update(ctx, func(tx *localdb.Tx) error { return c.adopt(tx, me, now) }); err != nil {
		return err
	}
	c.rosters.confirm(now, clock.Now())
	if err := c.ensurePrekey(ctx); err != nil && !passing(err) {
		return err
	}
	return nil
}
