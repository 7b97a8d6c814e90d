package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/clock"
)

// queue keeps a text for somebody whose keys are not at hand. It is the only
// place where a text waits unsealed by the protocol; the row is sealed by the
// database.
func (c *Client) queue(ctx context.Context, to account.Name, message content.Message) error {
	text, files := wordsOf(message.Body)
	return c.update(ctx, func(tx *localdb.Tx) error {
		if err := keepFiles(tx, message.ID, files); err != nil {
			return err
		}
		return tx.PutQueuedText(localdb.QueuedText{Content: message.ID, Name: to, Text: text, Created: message.SentAt})
	})
}

// flushQueued seals what waits for keys, oldest first. A text for a name that
// proves unknown, or that changed hands, ends here with a notice. ErrOffline
// stops the pass; a recipient without a usable bundle only holds back its own.
func (c *Client) flushQueued(ctx context.Context) error {
	waiting, err := c.queued(ctx)
	if err != nil {
		return err
	}
	stuck := map[account.Name]bool{}
	for _, q := range waiting {
		if stuck[q.Name] {
			continue
		}
		err := c.sealQueued(ctx, q)
		switch {
		case errors.Is(err, ErrWaitingForPeer), errors.Is(err, ErrTransparency):
			stuck[q.Name] = true
		case errors.Is(err, ErrUnknownName), errors.Is(err, ErrChangedAccount), errors.Is(err, ErrRoster), errors.Is(err, ErrNoCommonSuite),
			errors.Is(err, ErrBlocked):
			if err := c.giveUp(ctx, q, err); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
	return nil
}

func (c *Client) queued(ctx context.Context) (rows []localdb.QueuedText, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) (err error) {
		rows, err = tx.QueuedTexts()
		return err
	})
	return rows, err
}

// sealQueued turns a waiting text into envelopes. The row goes in the last
// step, so a crash in between seals again: the same content id arrives twice
// and is shown once.
func (c *Client) sealQueued(ctx context.Context, q localdb.QueuedText) error {
	recipient, err := c.findByName(ctx, q.Name)
	if err != nil {
		return err
	}
	body, err := c.sentBody(ctx, q.Content, q.Text)
	if err != nil {
		return err
	}
	message := content.Message{ID: q.Content, SentAt: q.Created, Body: body}
	if err := c.sealText(ctx, recipient, message); err != nil {
		return err
	}
	return c.update(ctx, func(tx *localdb.Tx) error { return tx.DeleteQueuedText(q.Content) })
}

// giveUp drops a text that can never be sent, and says so.
func (c *Client) giveUp(ctx context.Context, q localdb.QueuedText, why error) error {
	return c.update(ctx, func(tx *localdb.Tx) error {
		if err := errors.Join(tx.DeleteQueuedText(q.Content), tx.DeleteFiles(localdb.Sent(q.Content))); err != nil {
			return err
		}
		written := instant(q.Created).Format(time.DateTime)
		return notify(tx, fmt.Sprintf("the text for @%s written on %s UTC was not sent: %s", q.Name, written, plainly(why)))
	})
}

// plainly is the sentence behind an error, without check ids.
func plainly(err error) string {
	for _, known := range []error{ErrUnknownName, ErrChangedAccount, ErrRoster, ErrNoCommonSuite, ErrBlocked} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return err.Error()
}

// notify leaves a sentence that the user is shown once.
func notify(tx *localdb.Tx, text string) error {
	return tx.PutNotice(localdb.Notice{Text: text, At: millis(clock.Now())})
}
