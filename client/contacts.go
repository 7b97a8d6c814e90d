package client

import (
	"context"
	"errors"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/clock"
)

// Contact is somebody this profile knows.
type Contact struct {
	Name       account.Name
	AccountID  account.ID
	Accepted   bool // false: wrote here and was not answered, or is blocked
	Blocked    bool
	Trust      Trust
	VerifiedAt time.Time          // zero: never
	Devices    []account.DeviceID // on the roster as last verified, oldest first
	FirstSeen  time.Time
	Log        LogView // as last verified, of this name; zero: the server keeps no log
}

// Contacts lists the people this profile knows, by name. An account that has
// lost its name to another is not among them.
func (c *Client) Contacts(ctx context.Context) ([]Contact, error) {
	rows, err := c.contacts(ctx)
	if err != nil {
		return nil, err
	}
	var out []Contact
	for _, row := range rows {
		if row.State == localdb.Former {
			continue
		}
		contact, err := c.described(ctx, row)
		if err != nil {
			return nil, err
		}
		out = append(out, contact)
	}
	return out, nil
}

// Contact describes one of them. Error: ErrUnknownName.
func (c *Client) Contact(ctx context.Context, name account.Name) (Contact, error) {
	p, err := c.contact(ctx, name)
	if err != nil {
		return Contact{}, err
	}
	return c.described(ctx, p.row)
}

// described is a row in the words of the engine, with what the log says of it.
func (c *Client) described(ctx context.Context, row localdb.Contact) (Contact, error) {
	out, err := contactOf(row)
	if err != nil {
		return Contact{}, err
	}
	out.Log, err = c.LogOf(ctx, row.Name)
	return out, err
}

func contactOf(row localdb.Contact) (Contact, error) {
	roster, err := storedRoster(row)
	if err != nil {
		return Contact{}, err
	}
	out := Contact{
		Name: row.Name, AccountID: row.Account, Trust: trustOf(row), FirstSeen: instant(row.FirstSeen),
		Accepted: row.State == localdb.Friend, Blocked: row.State == localdb.Blocked,
	}
	if row.VerifiedAt != 0 {
		out.VerifiedAt = instant(row.VerifiedAt)
	}
	for _, device := range roster.Devices() {
		out.Devices = append(out.Devices, device.ID)
	}
	return out, nil
}

// AcceptContact makes somebody who wrote here a contact: from now on, and for
// what has arrived already, they get receipts. For a name whose account has
// changed it is the user's word that the account which the directory shows now
// is the right one. Errors: ErrUnknownName; ErrOffline and ErrRoster for a
// changed name.
func (c *Client) AcceptContact(ctx context.Context, name account.Name) error {
	p, err := c.contact(ctx, name)
	if err != nil {
		return err
	}
	if trustOf(p.row) == Changed {
		return c.acceptChanged(ctx, p)
	}
	for _, peer := range p.parties() {
		c.duties.add(peer.Account, peer.Device.ID)
	}
	return c.thenTell(ctx, c.update(ctx, func(tx *localdb.Tx) error {
		row, err := tx.Contact(p.row.Account)
		if err == nil && row.State != localdb.Friend {
			err = tx.PutContact(decided(row, localdb.Friend, clock.Now()))
		}
		return errors.Join(err, c.tellContact(tx, p.row.Account))
	}))
}
