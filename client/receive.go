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

// verdict is what a delivery's place in the mailbox may become.
type verdict int

const (
	settled verdict = iota // stored here, or refused for good: the server may forget it
	held                   // it stays on the server, and so does all that follows
)

// sender is who the server says an envelope is from, with the keys to prove it.
type sender struct {
	person
	party account.Party
}

// receive takes one delivery through its one transaction. An error means that
// nothing was decided: the stream stops there and the delivery comes again.
//
// A contact's message for which the waiting buffer has no room stays on the
// server. A stranger's is dropped: acknowledgements are cumulative, so a
// stranger could otherwise keep the whole mailbox from ever being emptied.
func (c *Client) receive(ctx context.Context, d transport.Delivery) (verdict, error) {
	from, err := c.sender(ctx, d)
	if err == nil {
		if pq3.KindOf(d.Payload) == pq3.KindControl {
			err = c.receiveControl(ctx, from, d)
		} else {
			err = c.receiveMessage(ctx, from, d)
		}
	}
	switch refused := c.refuse(err); {
	case err == nil:
		return settled, nil
	case !refused:
		return held, err
	case errors.Is(err, ErrWaitingFull) && from.row.State == localdb.Friend:
		return held, nil
	default:
		return settled, nil
	}
}

// sender finds the device that an envelope claims, in a verified roster.
func (c *Client) sender(ctx context.Context, d transport.Delivery) (sender, error) {
	if c.isSelf(d.SenderAccount) && d.SenderDevice == c.profile.Device {
		return sender{}, reject.New("V-104", ErrSender, "an envelope from this device to itself")
	}
	p, err := c.findSender(ctx, d.SenderAccount)
	if err != nil {
		return sender{}, err
	}
	device, ok := p.roster.Device(d.SenderDevice)
	if !ok {
		if p, err = c.findByID(ctx, d.SenderAccount, true); err != nil {
			return sender{}, err
		}
		device, ok = p.roster.Device(d.SenderDevice)
	}
	if !ok {
		return sender{}, c.noSuchDevice(ctx, p, d.SenderDevice)
	}
	if p.row.State == localdb.Blocked || p.row.State == localdb.Former {
		return sender{}, reject.New("V-104", ErrSender, "the account is blocked here")
	}
	if err := c.believed(ctx, p, d.SenderDevice); err != nil {
		return sender{}, err
	}
	return sender{person: p, party: account.Party{Account: d.SenderAccount, Device: device}}, nil
}

// noSuchDevice refuses a device that is not on its account's roster. That a contact
// has removed it may mean that a thief writes, or that the last words from an old
// telephone came too late: the user can ask.
func (c *Client) noSuchDevice(ctx context.Context, p person, device account.DeviceID) error {
	refused := reject.New("V-104", ErrSender, "its roster has no such device")
	_, removed := p.roster.Removed(device)
	if !removed || p.row.State != localdb.Friend || c.isSelf(p.row.Account) || !c.rosters.complain(device) {
		return refused
	}
	if err := c.update(ctx, func(tx *localdb.Tx) error {
		return notify(tx, fmt.Sprintf("something came from a device that @%s has taken off their account, and is not shown; if they have written it themselves, they can send it again", p.row.Name))
	}); err != nil {
		return err
	}
	return refused
}

// receiveMessage opens a message, applies what it says, and stores the result.
func (c *Client) receiveMessage(ctx context.Context, from sender, d transport.Delivery) error {
	m, err := pq3.ParseMessage(d.Payload)
	if err != nil {
		return err
	}
	if m.Suite() != account.PQ3A {
		return reject.New("V-105", ErrNoCommonSuite, "a message of suite "+m.Suite().String())
	}
	opened := false
	err = c.update(ctx, func(tx *localdb.Tx) error {
		now := clock.Now()
		fresh, err := tx.SeeEnvelope(d.ID, millis(now))
		if err != nil || !fresh {
			return err
		}
		b, err := c.openBook(tx, from.party, now)
		if err != nil {
			return err
		}
		opened, err = b.receive(from, m)
		return err
	})
	if err != nil {
		return c.misfit(ctx, from, m, err)
	}
	if !opened {
		return nil
	}
	c.events.announce()
	return c.drain(ctx, from.party, m.Session())
}

// receive opens m and applies it, or puts it aside until the objects of its
// chain are here. Any error leaves every row as it was.
func (b *book) receive(from sender, m *pq3.Message) (opened bool, err error) {
	next, plaintext, err := b.unseal(m)
	if errors.Is(err, pq3.ErrObjectsMissing) {
		return false, b.putAside(from, m)
	}
	if err != nil {
		return false, err
	}
	message, err := content.Decode(plaintext)
	if err != nil {
		return false, err
	}
	contact, err := b.meet(from.row)
	if err != nil {
		return false, err
	}
	if err := b.meetDevice(); err != nil {
		return false, err
	}
	if err := b.save(next); err != nil {
		return false, err
	}
	return true, b.apply(contact, m, message)
}

// unseal finds the session of a message, or creates it from a start. The
// replay record of a start is written here, with the session.
func (b *book) unseal(m *pq3.Message) (*pq3.Session, []byte, error) {
	if s := b.sessions.Find(m.Session()); s != nil {
		return s.Open(b.now, m)
	}
	stores := &starts{client: b.client, tx: b.tx}
	accepted, err := pq3.Accept(b.client.me, b.peer, m, pq3.AcceptOptions{
		Policy: b.client.policy, Prekeys: stores, Replays: stores,
	}, b.now)
	if stores.err != nil {
		return nil, nil, stores.err
	}
	if stores.givenUp && errors.Is(err, pq3.ErrPrekeyUnknown) {
		return nil, nil, b.tooLate(m, err)
	}
	if err != nil {
		return nil, nil, err
	}
	err = b.tx.PutReplay(localdb.Replay{
		Key: accepted.Replay, Bundle: accepted.Bundle, Device: b.peer.Device.ID, At: millis(b.now),
	})
	return accepted.Session, accepted.Plaintext, err
}

// errGivenUp is V-42 for a start that would have been accepted, had its prekey
// not been erased before its time.
var errGivenUp = errors.New("client: its prekey was given up")

// tooLate tells a start that comes for the first time from one that was accepted
// once and is repeated.
func (b *book) tooLate(m *pq3.Message, refused error) error {
	seen, err := b.tx.HasReplay(m.ReplayKey())
	if err != nil {
		return err
	}
	if seen {
		return refused
	}
	return fmt.Errorf("%w: %w", errGivenUp, refused)
}

// meet makes sure that the sender's account has a row; the own account is the
// profile.
func (b *book) meet(row localdb.Contact) (localdb.Contact, error) {
	if b.client.isSelf(row.Account) {
		return row, nil
	}
	return meet(b.tx, row, b.now)
}

// meetDevice makes sure that the device has a row.
func (b *book) meetDevice() error {
	_, err := b.tx.PeerDevice(b.peer.Device.ID)
	if !errors.Is(err, localdb.ErrNotFound) {
		return err
	}
	return b.tx.PutPeerDevice(localdb.PeerDevice{Device: b.peer.Device.ID, Account: b.peer.Account})
}

// misfit decides what a refused message calls for beyond being dropped: a
// session that this device has lost, or that no longer fits, is repaired.
func (c *Client) misfit(ctx context.Context, from sender, m *pq3.Message, refused error) error {
	switch {
	case errors.Is(refused, errGivenUp):
		if err := c.reportTooLate(ctx, from, m); err != nil {
			return err
		}
	case errors.Is(refused, pq3.ErrSessionUnknown):
		if err := pq3.Verify(c.me, from.party, m); err != nil {
			return err
		}
		if err := c.reportUnknown(ctx, from, m); err != nil {
			return err
		}
	case errors.Is(refused, pq3.ErrUndecryptable):
		if err := c.strike(ctx, from, m); err != nil {
			return err
		}
	}
	return refused
}

// starts gives pq3 the prekeys and the replay records of one transaction. The
// interfaces have no errors, so the first one is kept here, and until it is
// looked at every answer is the safe one.
type starts struct {
	client  *Client
	tx      *localdb.Tx
	err     error
	givenUp bool // the prekey that was asked for was erased before its time
}

// Prekey finds and unwraps the private half of a bundle.
func (s *starts) Prekey(hash account.BundleHash) (*pq3.Prekey, bool) {
	row, err := s.tx.Prekey(hash)
	if ok, err := found(err); !ok {
		s.note(err)
		return nil, false
	}
	if s.givenUp = len(row.Private) == 0; s.givenUp {
		return nil, false
	}
	prekey, err := pq3.ParsePrekey(row.Private)
	s.note(err)
	return prekey, err == nil
}

// Seen reports whether a start was accepted before.
func (s *starts) Seen(key pq3.ReplayKey) bool {
	seen, err := s.tx.HasReplay(key)
	s.note(err)
	return seen || err != nil
}

// BundleStarts counts the starts accepted under a bundle.
func (s *starts) BundleStarts(hash account.BundleHash) int {
	n, err := s.tx.CountBundleStarts(hash)
	s.note(err)
	return n
}

// DeviceStarts counts the starts accepted from a device since a time.
func (s *starts) DeviceStarts(device account.DeviceID, since time.Time) int {
	n, err := s.tx.CountDeviceStarts(device, millis(since))
	s.note(err)
	return n
}

func (s *starts) note(err error) {
	if s.err == nil {
		s.err = err
	}
}
