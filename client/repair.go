package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/pq3"
)

// The bounds of repair (SPEC §10.6).
const (
	repairPause  = time.Hour // for one device, asking and acting
	repairsDaily = 5
	strikeWindow = 10 * time.Minute
	strikesOut   = 3
	bundleSlack  = 5 * time.Minute // a fresh bundle may be this much older than the request
)

// strike counts a message that was signed by the peer and yet does not fit the
// session. The third within ten minutes calls for repair.
func (c *Client) strike(ctx context.Context, from sender, m *pq3.Message) error {
	out := false
	err := c.withBook(ctx, from.party, func(b *book) error {
		limits, err := b.tx.Repair(from.party.Device.ID)
		if err != nil {
			return err
		}
		if b.since(limits.UndecryptableAt) > strikeWindow {
			limits.UndecryptableAt, limits.UndecryptableCount = millis(b.now), 0
		}
		limits.UndecryptableCount++
		if out = limits.UndecryptableCount >= strikesOut; out {
			limits.UndecryptableAt, limits.UndecryptableCount = 0, 0
		}
		limits.Device = from.party.Device.ID
		return b.tx.PutRepair(limits)
	})
	if err != nil || !out {
		return err
	}
	return c.reportUnknown(ctx, from, m)
}

// reportUnknown tells a contact that the session of an authentic message does
// not exist here. A new bundle is published first, so that the new session
// cannot rest on keys that whoever caused the loss may have. Strangers are told
// nothing.
func (c *Client) reportUnknown(ctx context.Context, from sender, m *pq3.Message) error {
	return c.report(ctx, from, m, "its session is lost here")
}

// reportTooLate is reportUnknown for a start under a prekey that was given up. Of
// a stranger's the user is told, once an hour for a device.
func (c *Client) reportTooLate(ctx context.Context, from sender, m *pq3.Message) error {
	if from.row.State == localdb.Friend {
		return c.report(ctx, from, m, "the keys it was sealed for were given up")
	}
	return c.withBook(ctx, from.party, func(b *book) error {
		limits, err := b.tx.Repair(from.party.Device.ID)
		if err != nil || b.since(limits.UnknownSentAt) < repairPause {
			return err
		}
		limits.Device, limits.UnknownSentAt = from.party.Device.ID, millis(b.now)
		return errors.Join(b.tx.PutRepair(limits), notify(b.tx, fmt.Sprintf(
			"a first message of @%s could not be read: it was sealed for keys that this device has given up; if you want to hear them, write to them or ask them to write again", from.row.Name)))
	})
}

func (c *Client) report(ctx context.Context, from sender, m *pq3.Message, why string) error {
	if from.row.State != localdb.Friend {
		return nil
	}
	due := false
	err := c.readBook(ctx, from.party, func(b *book) error {
		limits, err := b.tx.Repair(from.party.Device.ID)
		due = b.since(limits.UnknownSentAt) >= repairPause
		return err
	})
	if err != nil || !due {
		return err
	}
	if err := c.rotatePrekey(ctx); err != nil {
		return err
	}
	return c.withBook(ctx, from.party, func(b *book) error {
		limits, err := b.tx.Repair(from.party.Device.ID)
		if err != nil {
			return err
		}
		limits.Device, limits.UnknownSentAt = from.party.Device.ID, millis(b.now)
		if err := b.tx.PutRepair(limits); err != nil {
			return err
		}
		if err := b.sealControl(m, pq3.ControlSessionUnknown); err != nil {
			return err
		}
		c.duties.add(from.row.Account, from.party.Device.ID)
		return notify(b.tx, fmt.Sprintf("a message of @%s could not be read because %s; a new session was asked for", from.row.Name, why))
	})
}

// receiveControl acts on a signed control message of a contact, or refuses it.
func (c *Client) receiveControl(ctx context.Context, from sender, d transport.Delivery) error {
	if from.row.State != localdb.Friend {
		return reject.New("V-107", ErrRepairRefused, "a control message of a stranger")
	}
	ctl, err := pq3.OpenControl(c.me, from.party, d.Payload, clock.Now())
	if err != nil {
		return err
	}
	if ctl.Type == pq3.ControlSessionUnknown {
		return c.repair(ctx, from, ctl, d.ID)
	}
	return c.update(ctx, func(tx *localdb.Tx) error {
		b, err := c.openBook(tx, from.party, clock.Now())
		if err != nil {
			return err
		}
		fresh, err := tx.SeeEnvelope(d.ID, millis(b.now))
		if err != nil || !fresh {
			return err
		}
		c.duties.add(from.row.Account, from.party.Device.ID)
		return b.answerControl(ctl)
	})
}

// repair starts a new session for a contact that has lost the one being sent
// on, and seals the unconfirmed texts again under it. The receiver drops those
// it has by their content ids.
func (c *Client) repair(ctx context.Context, from sender, ctl *pq3.Control, envelope [16]byte) error {
	if err := c.readBook(ctx, from.party, func(b *book) error {
		_, err := b.mayRepair(ctl)
		return err
	}); err != nil {
		return err
	}
	if err := c.sameDevice(ctx, from); err != nil {
		return err
	}
	bundle, err := c.fetchBundle(ctx, from.party)
	if errors.Is(err, ErrWaitingForPeer) {
		return reject.New("V-106", ErrRepairRefused, "no usable bundle came with the request")
	}
	if err != nil {
		return err
	}
	if oldest := instant(ctl.Time).Add(-bundleSlack); instant(bundle.NotBefore).Before(oldest) {
		return reject.New("V-106", ErrRepairRefused, "the bundle is older than the request")
	}
	err = c.update(ctx, func(tx *localdb.Tx) error {
		b, err := c.openBook(tx, from.party, clock.Now())
		if err != nil {
			return err
		}
		fresh, err := tx.SeeEnvelope(envelope, millis(b.now))
		if err != nil || !fresh {
			return err
		}
		return b.repair(from, ctl, bundle)
	})
	c.events.announce()
	return err
}

// sameDevice asks the directory again: texts are re-sent by themselves only to
// the very key they were sealed for.
func (c *Client) sameDevice(ctx context.Context, from sender) error {
	p, err := c.findByID(ctx, from.row.Account, true)
	if err != nil {
		return err
	}
	device, ok := p.roster.Device(from.party.Device.ID)
	if !ok || !device.Key.Equal(from.party.Device.Key) {
		return reject.New("V-107", ErrRepairRefused, "the device or its key has changed")
	}
	return nil
}

// mayRepair checks the conditions under which a request is acted on. The
// request's own age was checked when it was opened.
func (b *book) mayRepair(ctl *pq3.Control) (localdb.Repair, error) {
	limits, err := b.tx.Repair(b.peer.Device.ID)
	if err != nil {
		return limits, err
	}
	s := b.sessions.Sending()
	if s == nil || s.ID() != ctl.Session {
		return limits, reject.New("V-107", ErrRepairRefused, "it names another session than the one being sent on")
	}
	_, err = b.tx.OutgoingByHash(b.peer.Device.ID, ctl.Message)
	if known, err := found(err); err != nil {
		return limits, err
	} else if !known {
		return limits, reject.New("V-107", ErrRepairRefused, "it names no unconfirmed message")
	}
	today := uint64(b.now.Unix()) / uint64(day/time.Second)
	if limits.ActedDay != today {
		limits.ActedDay, limits.ActedCount = today, 0
	}
	if b.since(limits.UnknownActedAt) < repairPause || limits.ActedCount >= repairsDaily {
		return limits, reject.New("V-107", ErrRepairRefused, "once an hour and 5 times a day at most")
	}
	limits.Device, limits.UnknownActedAt = b.peer.Device.ID, millis(b.now)
	limits.ActedCount++
	return limits, nil
}

func (b *book) repair(from sender, ctl *pq3.Control, bundle *account.Bundle) error {
	limits, err := b.mayRepair(ctl)
	if err != nil {
		return err
	}
	if err := b.tx.PutRepair(limits); err != nil {
		return err
	}
	if err := b.initiate(bundle); err != nil {
		return err
	}
	b.client.duties.add(from.row.Account, from.party.Device.ID)
	n, err := b.sealAgain()
	if err != nil {
		return err
	}
	return notify(b.tx, fmt.Sprintf("@%s had lost the session, so a new one was started and %d unconfirmed texts went out again", from.row.Name, n))
}

// sealAgain moves the unconfirmed texts and news to the session to send on, under
// their old content ids. What is neither belongs to the lost session and goes.
func (b *book) sealAgain() (texts int, err error) {
	rows, err := b.tx.UnacknowledgedOutgoing(b.peer.Device.ID)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if row.Kind == localdb.OutgoingControl {
			continue
		}
		again := row.Kind == localdb.OutgoingText || row.Kind == localdb.OutgoingSync
		if again && b.needsSession() {
			return texts, nil // the chain is full; the rest stays as it is
		}
		switch row.Kind {
		case localdb.OutgoingText:
			err = b.sealTextAgain(row)
			texts++
		case localdb.OutgoingSync:
			err = b.sealNewsAgain(row.Content)
		}
		if err != nil {
			return texts, err
		}
		if err := b.tx.DeleteOutgoing(row.Seq); err != nil {
			return texts, err
		}
	}
	return texts, nil
}

// sealNewsAgain does so for news, unless they are not owed any more.
func (b *book) sealNewsAgain(id content.ID) error {
	row, err := b.tx.Owed(id)
	if exists, err := found(err); err != nil || !exists {
		return err
	}
	return b.sealOwed(row)
}

func (b *book) sealTextAgain(row localdb.Outgoing) error {
	text, err := b.tx.OutgoingMessage(row.Content)
	if err != nil {
		return err
	}
	files, err := b.tx.Files(localdb.Sent(text.ID))
	if err != nil {
		return err
	}
	message := content.Message{ID: text.ID, SentAt: text.SentAt, Body: bodyOf(text.Body, files)}
	_, err = b.seal(message, localdb.OutgoingText, 0)
	return err
}
