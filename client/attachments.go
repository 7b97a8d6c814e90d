package client

import (
	"context"
	"time"

	"github.com/posthorn/posthorn/account"
)

// Received is an attachment and the message that brought it.
type Received struct {
	Attachment
	Conversation account.Name
	From         account.Name
	SentAt       time.Time // by the sender's clock, UTC
}

// Attachments lists the attachments of all messages, in the order of arrival.
// Whether the server still has them is not asked.
func (c *Client) Attachments(ctx context.Context) (all []Received, err error) {
	messages, err := c.Inbox(ctx, Filter{All: true})
	for _, m := range messages {
		for _, a := range m.Attachments {
			all = append(all, Received{Attachment: a, Conversation: m.Conversation, From: m.From, SentAt: m.SentAt})
		}
	}
	return all, err
}
