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
// off. A device without a usable bundle keeps only its own waiting.
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

// renewal is one pass of the outbox: which accounts were looked up again in it.
type renewal map[account.ID]bool

// renew looks accounts up again whose envelopes the server found stale, and
// seals the texts for the devices that are new. It does so once for each account
// in a pass; a server that still speaks of newer devices and shows none is not
// believed.
func (c *Client) renew(ctx context.Context, done renewal, rows []localdb.Outgoing, outcomes []transport.Outcome) error {
	texts := map[account.ID]map[content.ID]bool{}
	for i, row := range rows {
		if outcomes[i] != transport.Stale {
			continue
		}
		if texts[row.Account] == nil {
			texts[row.Account] = map[content.ID]bool{}
		}
		if row.Kind == localdb.OutgoingText {
			texts[row.Account][row.Content] = true
		}
	}
	for id, of := range texts {
		if done[id] {
			return reject.New("V-223", ErrStaleDevices, "stale after a new look")
		}
		done[id] = true
		if err := c.renewOne(ctx, id, of); err != nil {
			return err
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return c.payOwed(ctx)
}

func (c *Client) renewOne(ctx context.Context, id account.ID, texts map[content.ID]bool) error {
	before, err := c.knownByID(ctx, id)
	if err != nil {
		return err
	}
	now, err := c.findByID(ctx, id, true)
	if err != nil {
		return err
	}
	if before.roster == nil || now.roster.Seq() == before.roster.Seq() {
		return reject.New("V-223", ErrStaleDevices, "the directory shows nothing newer")
	}
	return c.update(ctx, func(tx *localdb.Tx) error {
		for _, device := range now.roster.Devices() {
			if _, had := before.roster.Device(device.ID); had {
				continue
			}
			for text := range texts {
				if err := c.oweText(tx, id, device.ID, text); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
