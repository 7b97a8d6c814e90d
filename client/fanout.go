package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
)

// payOwed seals what is owed to devices, each in the transaction that strikes it
// off. News stay noted until the device has confirmed them. A device without a usable bundle keeps only its own waiting.
func (c *Client) payOwed(ctx context.Context) error {
	var rows []localdb.Owed
	if err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		rows, err = tx.AllOwed()
		return err
	}); err != nil {
		return err
	}
	stuck := map[account.DeviceID]bool{}
	for _, row := range rows {
		if stuck[row.Device] {
			continue
		}
		err := c.payOne(ctx, row)
		switch {
		case errors.Is(err, ErrWaitingForPeer), errors.Is(err, ErrNoCommonSuite):
			stuck[row.Device] = true
		case err != nil:
			return err
		}
	}
	return nil
}

func (c *Client) payOne(ctx context.Context, row localdb.Owed) error {
	peer, ok, err := c.partyOf(ctx, row.Account, row.Device)
	if err != nil {
		return err
	}
	if !ok { // the device is gone
		return c.update(ctx, func(tx *localdb.Tx) error { return tx.DeleteOwed(row.ID) })
	}
	if err := c.suited(peer); err != nil {
		return err
	}
	return c.sealFor(ctx, peer, func(b *book) error {
		if err := b.sealOwed(row); err != nil {
			return err
		}
		if row.What != 0 {
			return b.tx.OwedSealed(row.ID)
		}
		return b.tx.DeleteOwed(row.ID)
	})
}

func (b *book) sealOwed(row localdb.Owed) error {
	if row.What != 0 {
		message := content.Message{ID: row.ID, SentAt: row.At, Body: content.Sync{What: row.What, Data: row.Item}}
		_, err := b.seal(message, localdb.OutgoingSync, 0)
		return err
	}
	if len(row.Item) != len(content.ID{}) {
		return fmt.Errorf("%w: a text that is owed", localdb.ErrCorrupt)
	}
	return b.sealTextAgain(localdb.Outgoing{Content: content.ID(row.Item)})
}

// oweText owes a stored text to a device of its recipient.
func (c *Client) oweText(tx *localdb.Tx, to account.ID, device account.DeviceID, text content.ID) error {
	row := localdb.Owed{Device: device, Account: to, Item: text[:], At: millis(clock.Now())}
	c.entropy.Read(row.ID[:])
	return tx.PutOwed(row)
}

// claims are what this device believes of the accounts that envelopes are for.
func (c *Client) claims(ctx context.Context, rows []localdb.Outgoing) (claims []transport.Claim, err error) {
	seen := map[account.ID]bool{}
	err = c.view(ctx, func(tx *localdb.Tx) error {
		for _, row := range rows {
			if seen[row.Account] {
				continue
			}
			seen[row.Account] = true
			n, err := c.statementsOf(tx, row.Account)
			if err != nil {
				return err
			}
			if n > 0 {
				claims = append(claims, transport.Claim{Account: row.Account, Seq: uint64(n - 1)})
			}
		}
		return nil
	})
	return claims, err
}

// statementsOf is how many statements are known of an account; 0 for one that no
// row holds.
func (c *Client) statementsOf(tx *localdb.Tx, id account.ID) (int, error) {
	if c.isSelf(id) {
		me, err := c.self(tx)
		return len(me.row.Statements), err
	}
	row, err := tx.Contact(id)
	if errors.Is(err, localdb.ErrNotFound) {
		return 0, nil
	}
	return len(row.Statements), err
}

// owePending owes the texts that the server has not accepted yet to the devices
// that an account has added since they were sealed. However this device came to
// know of the newer list, the outbox goes out under it from now on, so the server
// would not find anything missing.
func (c *Client) owePending(tx *localdb.Tx, known, now person) error {
	texts, err := tx.PendingTexts(now.row.Account)
	if err != nil || len(texts) == 0 {
		return err
	}
	for _, text := range texts {
		if err := c.oweAdded(tx, known, now, text); err != nil {
			return err
		}
	}
	return nil
}

// oweAdded owes a text to the devices that one list has and an earlier one had
// not.
func (c *Client) oweAdded(tx *localdb.Tx, known, now person, text content.ID) error {
	for _, device := range now.roster.Devices() {
		if _, had := known.roster.Device(device.ID); had {
			continue
		}
		if err := c.oweText(tx, now.row.Account, device.ID, text); err != nil {
			return err
		}
	}
	return nil
}

// renewal is one pass of the outbox: which accounts were looked up again in it.
type renewal map[account.ID]bool

// unrenewed says of which accounts the device list could not be renewed in a
// pass of the outbox. What is for them stays; the rest went out.
type unrenewed struct{ why map[account.ID]error }

// Error says the first of the reasons.
func (u *unrenewed) Error() string { return errors.Join(u.Unwrap()...).Error() }

// Unwrap gives all of them.
func (u *unrenewed) Unwrap() (all []error) {
	for _, err := range u.why {
		all = append(all, err)
	}
	return all
}

// renew looks accounts up again whose envelopes the server found stale, once for
// each in a pass, and seals what is owed to their new devices by that. A server
// that shows nothing newer than was claimed, or still speaks of newer devices
// afterwards, is not believed. What goes wrong with one account is noted in stuck
// and holds up no other; the error is about none of them.
func (c *Client) renew(ctx context.Context, done renewal, stuck *unrenewed, claims []transport.Claim, rows []localdb.Outgoing, outcomes []transport.Outcome) error {
	found := renewal{}
	for i, row := range rows {
		if outcomes[i] != transport.Stale || found[row.Account] {
			continue
		}
		found[row.Account] = true
		var err error = reject.New("V-223", ErrStaleDevices, "stale after a new look")
		if !done[row.Account] {
			done[row.Account] = true
			err = c.renewOne(ctx, row.Account, claims)
		}
		if err != nil && !aboutAccount(err) {
			return err
		}
		if err != nil {
			stuck.why[row.Account] = err
		}
	}
	if len(found) == 0 {
		return nil
	}
	return c.payOwed(ctx)
}

// aboutAccount tells a list that does not prove itself from a fault of this
// machine or the network.
func aboutAccount(err error) bool {
	_, refused := errors.AsType[*reject.Error](err)
	return refused || errors.Is(err, ErrTransparency)
}

// renewOne looks an account up again whose number was claimed too low.
func (c *Client) renewOne(ctx context.Context, id account.ID, claims []transport.Claim) error {
	now, err := c.findByID(ctx, id, true)
	if err != nil {
		return err
	}
	for _, claim := range claims {
		if claim.Account == id && now.roster.Seq() > claim.Seq {
			return nil
		}
	}
	return reject.New("V-223", ErrStaleDevices, "the directory shows nothing newer")
}

// goOn lets a connection go on past accounts whose lists could not be renewed.
// The user is told of each once while the profile is open.
func (c *Client) goOn(ctx context.Context, err error) error {
	stuck, ok := errors.AsType[*unrenewed](err)
	if !ok {
		return err
	}
	return c.update(ctx, func(tx *localdb.Tx) error {
		for id, why := range stuck.why {
			if errors.Is(why, ErrOffline) || !c.rosters.complain(id) {
				continue
			}
			c.refuse(why)
			whose := "your own"
			if row, err := tx.Contact(id); err == nil {
				whose = "@" + string(row.Name) + "'s"
			}
			if err := notify(tx, fmt.Sprintf("the server does not prove %s devices as they are now; what is for them waits", whose)); err != nil {
				return err
			}
		}
		return nil
	})
}
