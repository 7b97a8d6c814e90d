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
)

// Sent says what became of a text when Send returned.
type Sent struct {
	// ID names the text at both ends.
	ID content.ID
	// Accepted: the server holds it durably for every device of the recipient.
	Accepted bool
}

// Send stores a text for a name and hands it to the server. It makes the
// recipient a contact. The text is on disk, sealed, before anything leaves the
// machine. Errors that keep the text: ErrOffline, ErrWaitingForPeer
// (also inside ErrBundle), ErrRecipientFull. Errors that keep nothing: ErrUnknownName, ErrOwnName,
// ErrBlocked, ErrChangedAccount, ErrRoster, content.ErrTextTooLong.
func (c *Client) Send(ctx context.Context, to account.Name, text string) (Sent, error) {
	return c.sendBody(ctx, to, content.Text{Text: text})
}

// sendBody is Send for anything that waits for a receipt: a text, or files that
// are on the server already.
func (c *Client) sendBody(ctx context.Context, to account.Name, body content.Body) (sent Sent, err error) {
	defer func() { err = c.ProveRemoval(ctx, err) }()
	message := c.newMessage(body, clock.Now())
	if _, err := content.Encode(message); err != nil {
		return Sent{}, err
	}
	if to == c.profile.Name {
		return Sent{}, ErrOwnName
	}
	if err := c.Belongs(ctx); err != nil {
		return Sent{}, err
	}
	sent = Sent{ID: message.ID}
	recipient, err := c.findByName(ctx, to)
	if errors.Is(err, ErrOffline) {
		return sent, errors.Join(c.queue(ctx, to, message), err)
	}
	if err != nil {
		return Sent{}, err
	}
	if err := c.flushQueued(ctx); err != nil {
		c.log.Debug("texts that wait for keys keep waiting", "error", err)
	}
	if err := c.sealText(ctx, recipient, message); err != nil {
		return c.keepUnsealed(ctx, to, message, err)
	}
	flushed := errors.Join(c.payOwed(ctx), c.flush(ctx))
	sent.Accepted, err = c.accepted(ctx, message.ID)
	if err != nil || sent.Accepted {
		return sent, err
	}
	return sent, c.whyNotAccepted(ctx, message.ID, flushed)
}

// keepUnsealed decides whether a text that could not be sealed waits as sealed
// plaintext: it does when only a usable bundle is missing.
func (c *Client) keepUnsealed(ctx context.Context, to account.Name, message content.Message, err error) (Sent, error) {
	if !errors.Is(err, ErrOffline) && !errors.Is(err, ErrWaitingForPeer) {
		return Sent{}, err
	}
	if kept := c.queue(ctx, to, message); kept != nil {
		return Sent{}, kept
	}
	return Sent{ID: message.ID}, err
}

// whyNotAccepted finds words for a text that stays in the outbox.
func (c *Client) whyNotAccepted(ctx context.Context, id content.ID, flushed error) error {
	state, err := c.stateOf(ctx, id)
	switch {
	case err != nil:
		return err
	case state == localdb.Failed:
		return ErrNotDelivered
	case flushed != nil:
		return flushed
	default:
		return ErrRecipientFull
	}
}

// sealText seals a text for every device of the recipient, each in a
// transaction of its own with the text and the contact. A device whose keys
// cannot be used now is owed the text, unless no other device gets it.
func (c *Client) sealText(ctx context.Context, to person, message content.Message) error {
	sealed, waiting := 0, []account.Party(nil)
	var why error
	for _, peer := range to.parties() {
		err := c.suited(peer)
		if err == nil {
			err = c.sealTextFor(ctx, to, peer, message)
		}
		switch {
		case errors.Is(err, ErrWaitingForPeer), errors.Is(err, ErrNoCommonSuite):
			waiting, why = append(waiting, peer), err
		case err != nil:
			return err
		default:
			sealed++
		}
	}
	if sealed == 0 {
		return why
	}
	if err := c.oweMissed(ctx, to, message.ID); err != nil || len(waiting) == 0 {
		return err
	}
	return c.update(ctx, func(tx *localdb.Tx) error {
		for _, peer := range waiting {
			if err := c.oweText(tx, peer.Account, peer.Device.ID, message.ID); err != nil {
				return err
			}
		}
		return notify(tx, fmt.Sprintf("%d of @%s's devices cannot get the text yet and are sent it later", len(waiting), to.row.Name))
	})
}

// oweMissed owes a text to devices that became known while it was sealed.
func (c *Client) oweMissed(ctx context.Context, to person, text content.ID) error {
	var n int
	err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		n, err = c.statementsOf(tx, to.row.Account)
		return err
	})
	if err != nil || n <= len(to.row.Statements) {
		return err
	}
	now, err := c.knownByID(ctx, to.row.Account)
	if err != nil {
		return err
	}
	return c.update(ctx, func(tx *localdb.Tx) error { return c.oweAdded(tx, to, now, text) })
}

func (c *Client) sealTextFor(ctx context.Context, to person, peer account.Party, message content.Message) error {
	return c.sealFor(ctx, peer, func(b *book) error {
		if err := befriend(b.tx, to.row, b.now); err != nil {
			return err
		}
		size, err := b.seal(message, localdb.OutgoingText, 0)
		if err != nil {
			return err
		}
		if err := storeSentText(b, to, message, size); err != nil {
			return err
		}
		return b.gossip()
	})
}

// suited refuses a device that does not support the one suite this client
// offers.
func (c *Client) suited(peer account.Party) error {
	suite, err := account.ChooseSuite(c.me.Party().Device, peer.Device)
	if err != nil || suite != account.PQ3A {
		return ErrNoCommonSuite
	}
	return nil
}

// sealFor runs f on the sessions with a device in one transaction. If there is
// no session to send on, it fetches a bundle between two attempts and starts
// one in the second.
func (c *Client) sealFor(ctx context.Context, peer account.Party, f func(*book) error) error {
	err := c.withBook(ctx, peer, f)
	if !errors.Is(err, errNeedBundle) {
		return err
	}
	bundle, err := c.fetchBundle(ctx, peer)
	if err != nil {
		return err
	}
	err = c.withBook(ctx, peer, func(b *book) error {
		if b.needsSession() {
			if err := b.initiate(bundle); err != nil {
				return err
			}
		}
		return f(b)
	})
	if c.refuse(err) {
		return unusable(err)
	}
	return err
}

// unusable leaves what was to be sealed waiting for another bundle, and says
// whether this one was a lie. One that has run out need not be: its device may
// have been off for a month.
func unusable(err error) error {
	waiting := fmt.Errorf("%w (%w)", ErrWaitingForPeer, err)
	rule, ok := errors.AsType[*reject.Error](err)
	if ok && errors.Is(err, account.ErrBundle) && rule.Check != "V-15" {
		return fmt.Errorf("%w: %w", ErrBundle, waiting)
	}
	return waiting
}

func (c *Client) withBook(ctx context.Context, peer account.Party, f func(*book) error) error {
	return c.update(ctx, func(tx *localdb.Tx) error {
		b, err := c.openBook(tx, peer, clock.Now())
		if err != nil {
			return err
		}
		return f(b)
	})
}

// fetchBundle gets a device's newest bundle. A bundle that does not parse, like
// none at all, leaves the text waiting.
func (c *Client) fetchBundle(ctx context.Context, peer account.Party) (*account.Bundle, error) {
	encoded, err := c.server.FetchBundle(ctx, peer.Account, peer.Device.ID)
	if errors.Is(err, transport.ErrNotFound) {
		c.rosters.doubt(peer.Account)
		return nil, fmt.Errorf("%w (%w)", ErrWaitingForPeer, err)
	}
	if err != nil {
		return nil, remote(err)
	}
	bundle, err := account.ParseBundle(encoded)
	if err == nil {
		err = checkBundle(bundle)
	}
	if err != nil {
		c.refuse(err)
		return nil, unusable(err)
	}
	return bundle, nil
}

// befriend makes somebody a contact, with the roster that was verified last
// and the suite that will never be left again. Whom the user has blocked stays
// blocked: the error is ErrBlocked.
func befriend(tx *localdb.Tx, row localdb.Contact, now time.Time) error {
	stored, err := meet(tx, row, now)
	if err != nil || stored.State == localdb.Friend {
		return err
	}
	if stored.State == localdb.Blocked {
		return ErrBlocked
	}
	return tx.PutContact(decided(stored, localdb.Friend, now))
}

// acquaint is befriend where somebody who is blocked may stay so.
func acquaint(tx *localdb.Tx, row localdb.Contact, now time.Time) error {
	if err := befriend(tx, row, now); !errors.Is(err, ErrBlocked) {
		return err
	}
	return nil
}

// decided is a contact that stands differently from now on, by what the user
// does on this device: it counts for more than all that was known before.
func decided(row localdb.Contact, state localdb.ContactState, now time.Time) localdb.Contact {
	row.State, row.StoodAt = state, max(millis(now), row.StoodAt+1)
	return row
}

// meet makes sure that an account has a row, at first as a stranger.
func meet(tx *localdb.Tx, row localdb.Contact, now time.Time) (localdb.Contact, error) {
	stored, err := tx.Contact(row.Account)
	if !errors.Is(err, localdb.ErrNotFound) {
		return stored, err
	}
	row.State, row.FirstSeen, row.PinnedSuite = localdb.Stranger, millis(now), account.PQ3A
	return row, tx.PutContact(row)
}

// storeSentText records a text and its files once, however many devices they go
// to, and owes the own devices a copy.
func storeSentText(b *book, to person, message content.Message, size int) error {
	text, files := wordsOf(message.Body)
	if err := keepFiles(b.tx, message.ID, files); err != nil {
		return err
	}
	fresh, err := b.tx.InsertMessage(localdb.Message{
		ID: message.ID, Account: b.peer.Account, Outgoing: true, Shown: true,
		Body: text, SentAt: message.SentAt, ReceivedAt: message.SentAt,
		Level: levelName(account.PQ3A), WireSize: size, State: localdb.Queued,
	})
	if err != nil || !fresh {
		return err
	}
	return b.client.tellSent(b.tx, to.row, message)
}
