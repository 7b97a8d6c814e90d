package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/clock"
)

// Device is one device of this account.
type Device struct {
	ID      account.DeviceID
	Name    string    // what the user calls it; may be empty
	AddedAt time.Time // by its own clock
	This    bool
	Removed bool // this device, once it is off the account
}

// Devices lists the devices of this account, this one first, then the oldest
// first. It asks the directory when it can be reached and lets this device in; a
// device that is known to be removed comes first all the same.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	removed, err := c.Removed(ctx)
	if err != nil {
		return nil, err
	}
	if !removed {
		if err := c.lookAtSelf(ctx); err != nil && !turnedAway(err) {
			return nil, err
		}
	}
	var all []Device
	err = c.view(ctx, func(tx *localdb.Tx) error {
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
		if d, gone := me.roster.Removed(c.profile.Device); gone {
			all = append(all, Device{ID: d.ID, Name: names[d.ID], AddedAt: instant(d.CreatedAt), This: true, Removed: true})
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

// MaxDeviceName is the longest name of a device, in bytes of UTF-8.
const MaxDeviceName = 64

// checkDeviceName refuses what no device can be called. Empty is no name.
func checkDeviceName(name string) error {
	if name != "" && strings.TrimSpace(name) == "" || len(name) > MaxDeviceName || !utf8.ValidString(name) {
		return ErrDeviceName
	}
	return nil
}

// putDeviceName names the device of a profile, if there is a name.
func putDeviceName(tx *localdb.Tx, row localdb.Profile, name string) error {
	if name = strings.TrimSpace(name); name == "" {
		return nil
	}
	return tx.PutDeviceName(localdb.DeviceName{Device: row.Device, Name: name, At: millis(clock.Now())})
}

// tellDeviceName passes the name of this device on to the others, if it has one.
func (c *Client) tellDeviceName(tx *localdb.Tx) error {
	names, err := tx.DeviceNames()
	for _, n := range names {
		if n.Device == c.profile.Device {
			return c.tell(tx, newsName{n})
		}
	}
	return err
}

// RenameDevice changes what the user calls one of the own devices, on all of
// them. The name never leaves them: it is no part of the roster, so neither the
// server nor a contact sees it or that it changed. Errors: ErrNoDevice,
// ErrDeviceName.
func (c *Client) RenameDevice(ctx context.Context, id account.DeviceID, name string) error {
	if name = strings.TrimSpace(name); name == "" || checkDeviceName(name) != nil {
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
	return c.thenTell(ctx, err)
}

// thenTell passes on at once what a change that went well owes the own devices.
// Being offline is no error: it goes out with the next connection.
func (c *Client) thenTell(ctx context.Context, changed error) error {
	if changed != nil {
		return changed
	}
	if err := c.sendWaiting(ctx); err != nil && !passing(err) {
		return err
	}
	return nil
}

// RemoveDevices takes devices off this account for good. The server ends what
// they have open; every contact refuses them from its next look at the account
// on, and what they could know is not used any more: the remaining devices
// renew their prekeys. Errors: ErrNoDevice, ErrThisDevice, ErrLastDevice,
// ErrHeld, ErrDevicesChanged, ErrRosterFull, ErrChangeWaits, ErrOffline.
func (c *Client) RemoveDevices(ctx context.Context, ids ...account.DeviceID) error {
	return c.changeRoster(ctx, func(roster *account.Roster) (by account.Author, ops []account.Operation, err error) {
		for _, id := range ids {
			_, present := roster.Device(id)
			switch {
			case !present:
				return by, nil, ErrNoDevice
			case len(roster.Devices()) == 1:
				return by, nil, ErrLastDevice
			case id == c.profile.Device:
				return by, nil, ErrThisDevice
			}
			ops = append(ops, account.RemoveDevice{ID: id})
		}
		return c.byDevice(), ops, nil
	})
}

// FindDevice finds a device of this account by its id in hex, or by how the id
// begins. Errors: ErrNoDevice, ErrAmbiguousDevice.
func (c *Client) FindDevice(ctx context.Context, prefix string) (Device, error) {
	all, err := c.Devices(ctx)
	if err != nil {
		return Device{}, err
	}
	all = slices.DeleteFunc(all, func(d Device) bool { return !strings.HasPrefix(d.ID.String(), strings.ToLower(prefix)) })
	switch {
	case prefix == "" || len(all) == 0:
		return Device{}, ErrNoDevice
	case len(all) > 1:
		return Device{}, ErrAmbiguousDevice
	}
	return all[0], nil
}
