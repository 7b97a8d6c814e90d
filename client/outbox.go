package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
)

const (
	// batchEnvelopes is how many envelopes one call carries at most.
	batchEnvelopes = 64
	// batchBytes keeps a call well below the server's limit for one request.
	batchBytes = 1 << 20
)

// flush transmits the outbox in order until it is empty, every remaining
// envelope was declined for now, or the server is out of reach. The bytes and
// envelope ids of a row never change, so repeating a call is harmless. An
// *unrenewed error says that all went out but what is for some accounts.
func (c *Client) flush(ctx context.Context) error {
	c.transmit.Lock()
	defer c.transmit.Unlock()
	declined, renewed, stuck := map[int64]bool{}, renewal{}, &unrenewed{map[account.ID]error{}}
	for {
		rows, err := c.pending(ctx, declined)
		if err == nil && len(rows) == 0 && len(stuck.why) > 0 {
			return stuck
		}
		if err != nil || len(rows) == 0 {
			return err
		}
		again, err := c.reprove(ctx, renewed, stuck, rows, declined)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		claims, err := c.claims(ctx, rows)
		if err != nil {
			return err
		}
		outcomes, err := c.server.Send(ctx, envelopes(rows), claims...)
		if err != nil {
			return c.ProveRemoval(ctx, remote(err))
		}
		if err := c.record(ctx, rows, outcomes); err != nil {
			return err
		}
		if err := c.renew(ctx, renewed, stuck, claims, rows, outcomes); err != nil {
			return err
		}
		for i, outcome := range outcomes {
			if outcome == transport.MailboxFull || outcome == transport.Undecided || outcome == transport.Stale && stuck.why[rows[i].Account] != nil {
				declined[rows[i].Seq] = true
			}
		}
	}
}

// pending reads the next rows to transmit, without those that this pass has seen
// declined. Any that are left give at least one.
func (c *Client) pending(ctx context.Context, declined map[int64]bool) (rows []localdb.Outgoing, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) (err error) {
		rows, err = tx.PendingOutgoing(len(declined) + batchEnvelopes)
		return err
	})
	rows = slices.DeleteFunc(rows, func(row localdb.Outgoing) bool { return declined[row.Seq] })
	rows = rows[:min(batchEnvelopes, len(rows))]
	size := 0
	for i, row := range rows {
		size += len(row.Payload)
		if size > batchBytes && i > 0 {
			return rows[:i], err
		}
	}
	return rows, err
}

func envelopes(rows []localdb.Outgoing) []transport.Envelope {
	out := make([]transport.Envelope, len(rows))
	for i, row := range rows {
		out[i] = transport.Envelope{ID: row.Envelope, Account: row.Account, Device: row.Device, Payload: row.Payload}
	}
	return out
}

// record notes what the server said about each envelope.
func (c *Client) record(ctx context.Context, rows []localdb.Outgoing, outcomes []transport.Outcome) error {
	err := c.update(ctx, func(tx *localdb.Tx) error {
		for i, row := range rows {
			if err := c.recordOne(tx, row, outcomes[i]); err != nil {
				return err
			}
		}
		return nil
	})
	c.events.announce()
	return err
}

func (c *Client) recordOne(tx *localdb.Tx, row localdb.Outgoing, outcome transport.Outcome) error {
	switch outcome {
	case transport.Accepted:
		if err := tx.AcceptOutgoing(row.Seq); err != nil || row.Kind != localdb.OutgoingText {
			return err
		}
		return advance(tx, row.Account, row.Content)
	case transport.UnknownDevice, transport.Gone:
		c.rosters.doubt(row.Account)
		return c.undeliverable(tx, row)
	default: // full, undecided, or stale until the account was looked up: the row stays and goes out again later
		return nil
	}
}

// undeliverable drops an envelope for a device that the server no longer has.
func (c *Client) undeliverable(tx *localdb.Tx, row localdb.Outgoing) error {
	if err := tx.DeleteOutgoing(row.Seq); err != nil || row.Kind != localdb.OutgoingText {
		return err
	}
	left, err := tx.OutgoingOf(row.Content)
	if err != nil {
		return err
	}
	confirmed, err := tx.Confirmed(row.Account, row.Content)
	if err != nil {
		return err
	}
	if confirmed || len(left) > 0 {
		var through newsDelivered
		return errors.Join(through.advance(tx, row.Account, row.Content), c.tellDelivered(tx, through))
	}
	if err := tx.SetMessageState(row.Account, row.Content, localdb.Failed); err != nil {
		return err
	}
	contact, err := tx.Contact(row.Account)
	if err != nil {
		return err
	}
	return notify(tx, fmt.Sprintf("a text for @%s was not delivered: the server no longer knows the device", contact.Name))
}

// advance sets a text's state from the envelopes that are left of it: accepted
// when all are on the server, delivered when every device confirmed, of those that
// are still there. A text that no device has confirmed keeps its state.
func advance(tx *localdb.Tx, to account.ID, id content.ID) error {
	left, err := tx.OutgoingOf(id)
	if err != nil {
		return err
	}
	state := localdb.Delivered
	if len(left) == 0 {
		if confirmed, err := tx.Confirmed(to, id); err != nil || !confirmed {
			return err
		}
	}
	for _, row := range left {
		if !row.Accepted {
			return nil
		}
		state = localdb.Accepted
	}
	return tx.SetMessageState(to, id, state)
}

// stateOf reads the state of a text that this profile sent.
func (c *Client) stateOf(ctx context.Context, id content.ID) (state localdb.MessageState, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) error {
		row, err := tx.OutgoingMessage(id)
		state = row.State
		return err
	})
	return state, err
}

// accepted reports whether the server holds every envelope of a text.
func (c *Client) accepted(ctx context.Context, id content.ID) (bool, error) {
	state, err := c.stateOf(ctx, id)
	return state == localdb.Accepted || state == localdb.Delivered, err
}
