package client

import (
	"context"
	"slices"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
)

// Filter selects messages of the inbox. The zero value selects what has
// arrived and not been shown yet.
type Filter struct {
	From account.Name // only the conversation with this name; empty: all
	All  bool         // also what was shown before, and what this account sent
}

// Attachment is a file of a message. It lies on the server until SaveAttachment
// fetches it.
type Attachment struct {
	ID   content.FileID
	Name string // made safe: the name it would be saved under
	Size uint64 // bytes
	Type string // media type by the sender's word; empty: not known
}

// Message is one text of a conversation.
type Message struct {
	ID           content.ID
	Conversation account.Name // the other side
	From         account.Name // who wrote it
	Outgoing     bool
	Text         string       // may be empty when there are attachments
	Attachments  []Attachment // in the sender's order
	SentAt       time.Time    // by the sender's clock, UTC
	ReceivedAt   time.Time    // by this device's clock, UTC
	Level        string       // "3A" or "3"
	WireSize     int          // bytes of the envelope's payload
	State        string       // of an outgoing text: "queued", "accepted", "delivered" or "failed"; else empty
}

// Inbox lists messages in the order of arrival. It changes nothing: call
// MarkShown once the user has seen them. Error: ErrUnknownName for a From that
// this profile does not know.
func (c *Client) Inbox(ctx context.Context, f Filter) ([]Message, error) {
	filter := localdb.MessageFilter{Unshown: !f.All}
	if f.From != "" {
		p, err := c.contact(ctx, f.From)
		if err != nil {
			return nil, err
		}
		filter.Account = &p.row.Account
	}
	names, err := c.names(ctx)
	if err != nil {
		return nil, err
	}
	var rows []localdb.Message
	var files map[localdb.FileOf][]content.File
	if err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		if rows, err = tx.Messages(filter); err == nil {
			files, err = tx.FileNames()
		}
		return err
	}); err != nil {
		return nil, err
	}
	messages := make([]Message, len(rows))
	for i, row := range rows {
		messages[i] = c.messageOf(row, names[row.Account])
		messages[i].Attachments = attachmentsOf(files[fileOf(row)])
	}
	return messages, nil
}

func (c *Client) messageOf(row localdb.Message, with account.Name) Message {
	m := Message{
		ID: row.ID, Conversation: with, From: with, Outgoing: row.Outgoing, Text: row.Body,
		SentAt: instant(row.SentAt), ReceivedAt: instant(row.ReceivedAt),
		Level: row.Level, WireSize: row.WireSize,
	}
	if row.Outgoing {
		m.From, m.State = c.profile.Name, stateName(row.State)
	}
	return m
}

func stateName(state localdb.MessageState) string {
	switch state {
	case localdb.Accepted:
		return "accepted"
	case localdb.Delivered:
		return "delivered"
	case localdb.Failed:
		return "failed"
	default:
		return "queued"
	}
}

// MarkShown notes that the user has seen messages of others. Ids that were
// never received are passed over.
func (c *Client) MarkShown(ctx context.Context, ids ...content.ID) error {
	return c.update(ctx, func(tx *localdb.Tx) error {
		rows, err := tx.Messages(localdb.MessageFilter{Unshown: true})
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(row localdb.Message) bool { return !slices.Contains(ids, row.ID) })
		for _, row := range rows {
			if err := tx.MarkShown(row.Account, row.ID); err != nil {
				return err
			}
		}
		seen, err := marksOf(tx, rows)
		for _, n := range seen {
			if err := c.tell(tx, n); err != nil {
				return err
			}
		}
		return err
	})
}

// names maps every known account to its name.
func (c *Client) names(ctx context.Context) (map[account.ID]account.Name, error) {
	rows, err := c.contacts(ctx)
	names := make(map[account.ID]account.Name, len(rows))
	for _, row := range rows {
		names[row.Account] = row.Name
	}
	return names, err
}

// WaitDelivered stays connected until every device of the recipient has
// confirmed a text. Strangers do not confirm, so give ctx a deadline. Error:
// ErrNotDelivered if the text can no longer arrive.
func (c *Client) WaitDelivered(ctx context.Context, id content.ID) error {
	return c.await(ctx, func() (bool, error) {
		state, err := c.stateOf(ctx, id)
		known, err := found(err)
		if err != nil {
			return false, err
		}
		if !known {
			return false, c.stillQueued(ctx, id)
		}
		if state == localdb.Failed {
			return false, ErrNotDelivered
		}
		return state == localdb.Delivered, nil
	})
}

// stillQueued is nil while a text waits for its recipient's keys.
func (c *Client) stillQueued(ctx context.Context, id content.ID) error {
	rows, err := c.queued(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(rows, func(q localdb.QueuedText) bool { return q.Content == id }) {
		return nil
	}
	return ErrNotDelivered
}
