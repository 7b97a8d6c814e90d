package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/clock"
)

// self is this account, as others are described. It is a contact of itself
// whose row is the profile: its other devices are owed what contacts are.
func (c *Client) self(tx *localdb.Tx) (person, error) {
	row, err := tx.Profile()
	if err != nil {
		return person{}, err
	}
	roster := c.roster.Load()
	if roster == nil || len(roster.Statements()) != len(row.Statements) {
		if roster, err = account.ReplayRoster(row.Statements); err != nil {
			return person{}, fmt.Errorf("%w: the own roster: %v", localdb.ErrCorrupt, err)
		}
		c.roster.Store(roster)
	}
	return person{known: true, roster: roster, row: localdb.Contact{
		Account: row.Account, Name: row.Name, Statements: row.Statements, State: localdb.Friend, PinnedSuite: account.PQ3A,
	}}, nil
}

// isSelf reports whether an account is this one.
func (c *Client) isSelf(id account.ID) bool { return id == c.profile.Account }

// siblings are the other devices of this account.
func (c *Client) siblings(tx *localdb.Tx) ([]account.Party, error) {
	me, err := c.self(tx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(me.parties(), func(p account.Party) bool { return p.Device.ID == c.profile.Device }), nil
}

// lookAtSelf asks for the own devices when that is due. A server out of reach is
// no error: what is known counts.
func (c *Client) lookAtSelf(ctx context.Context) error {
	if c.rosters.fresh(c.profile.Account, clock.Now()) {
		return nil
	}
	_, err := c.findByID(ctx, c.profile.Account, true)
	if errors.Is(err, ErrOffline) || errors.Is(err, ErrServer) {
		return nil
	}
	if errors.Is(err, ErrRoster) || errors.Is(err, ErrTransparency) {
		c.refuse(err)
		return nil // the own devices stay those that are known
	}
	return err
}

// adopt stores the roster of an account that has gone on, and does what follows
// from its removals and additions.
func (c *Client) adopt(tx *localdb.Tx, known, now person) error {
	if c.isSelf(now.row.Account) {
		row, err := tx.Profile()
		if err != nil {
			return err
		}
		row.Statements = now.row.Statements
		if err := tx.PutProfile(row); err != nil {
			return err
		}
		if err := c.greet(tx, known, now); err != nil {
			return err
		}
	} else if err := errors.Join(storeStatements(tx, now.row), c.owePending(tx, known, now)); err != nil {
		return err
	}
	for _, device := range known.roster.Devices() {
		if _, stays := now.roster.Device(device.ID); stays {
			continue
		}
		if device.ID == c.profile.Device && c.isSelf(now.row.Account) {
			return tx.MarkRemoved()
		}
		if err := c.forgetDevice(tx, now.row.Account, device.ID); err != nil {
			return err
		}
		if c.isSelf(now.row.Account) {
			if err := tx.MarkWorn(); err != nil { // it may be in other hands, with what it knew
				return err
			}
		}
	}
	return nil
}

// greet tells the user of new own devices, but for those that were let in here,
// and them the names of all.
func (c *Client) greet(tx *localdb.Tx, known, now person) error {
	names, err := tx.DeviceNames()
	if err != nil {
		return err
	}
	for _, device := range now.roster.Devices() {
		if _, before := known.roster.Device(device.ID); before || device.ID == c.profile.Device {
			continue
		}
		_, err := tx.Export(device.ID)
		approvedHere, err := found(err)
		if err != nil {
			return err
		}
		if !approvedHere { // else the history has it all
			err = errors.Join(c.retell(tx, device),
				notify(tx, fmt.Sprintf("your account has a new device, %.8s; if it is not yours, run 'posthorn device remove %.8s'", device.ID, device.ID)))
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := c.oweDevice(tx, device.ID, newsName{name}); err != nil {
				return err
			}
		}
	}
	return nil
}

const (
	// retoldSlack is how far the clocks of own devices may differ for a new one to
	// miss nothing.
	retoldSlack = 10 * time.Minute
	// mostRetold bounds how many messages a new device is told of beside its
	// history.
	mostRetold = 256
)

// retell owes a new own device what others were told since it came: what this
// device sent and decided before it knew of it. The device that let it in could
// not hand that over.
func (c *Client) retell(tx *localdb.Tx, device *account.Device) error {
	since := device.CreatedAt - min(device.CreatedAt, uint64(retoldSlack/time.Millisecond))
	sent, err := tx.SentSince(since, mostRetold)
	if err != nil {
		return err
	}
	for _, m := range sent {
		if err := c.retellSent(tx, device.ID, m); err != nil {
			return err
		}
	}
	contacts, err := tx.Contacts()
	for _, row := range contacts {
		if row.State == localdb.Former || row.StoodAt < since && row.VerifiedAt < since {
			continue
		}
		if err := c.oweDevice(tx, device.ID, newsOf(row)); err != nil {
			return err
		}
	}
	return err
}

func (c *Client) retellSent(tx *localdb.Tx, device account.DeviceID, m localdb.Message) error {
	to, err := tx.Contact(m.Account)
	if known, err := found(err); !known {
		return err
	}
	files, err := tx.Files(localdb.Sent(m.ID))
	if err != nil {
		return err
	}
	frame, err := content.Encode(content.Message{ID: m.ID, SentAt: m.SentAt, Body: bodyOf(m.Body, files)})
	if err != nil {
		return err
	}
	return c.oweDevice(tx, device, newsSent{account: to.Account, name: to.Name, frame: frame})
}

// forgetDevice erases everything that ties this device to one that its account
// has removed: sessions, skipped keys, waiting messages, and envelopes for it. A
// text that the other devices have confirmed is through by that.
func (c *Client) forgetDevice(tx *localdb.Tx, owner account.ID, device account.DeviceID) error {
	rows, err := tx.UnacknowledgedOutgoing(device)
	if err != nil {
		return err
	}
	if err := tx.ForgetDevice(device); err != nil {
		return err
	}
	var through newsDelivered
	for _, row := range rows {
		if row.Kind != localdb.OutgoingText {
			continue
		}
		if err := through.advance(tx, owner, row.Content); err != nil {
			return err
		}
	}
	return c.tellDelivered(tx, through)
}
