package client

import (
	"context"
	"errors"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/pq3"
)

// The bounds of the waiting buffer for one peer device (SPEC §10.3).
const (
	maxWaiting         = 256
	maxWaitingBytes    = 2 << 20
	maxWaitingSessions = 4 // unknown ones
	waitingLife        = 14 * 24 * time.Hour
)

// putAside keeps an authentic message whose objects are missing. When there is
// no room the newest is refused.
func (b *book) putAside(from sender, m *pq3.Message) error {
	device := b.peer.Device.ID
	totals, err := b.tx.WaitingTotals(device)
	if err != nil {
		return err
	}
	if totals.Messages >= maxWaiting || totals.Bytes+len(m.Bytes()) > maxWaitingBytes {
		return reject.New("V-108", ErrWaitingFull, "256 messages or 2 MiB from one device")
	}
	if err := b.admitSession(m.Session(), totals.Sessions); err != nil {
		return err
	}
	if _, err := b.meet(from.row); err != nil {
		return err
	}
	if err := b.meetDevice(); err != nil {
		return err
	}
	b.client.duties.add(b.peer.Account, device)
	_, err = b.tx.PutWaiting(localdb.WaitingMessage{
		Device: device, Account: b.peer.Account, Session: m.Session(),
		Hash: m.Hash(), Payload: m.Bytes(), ReceivedAt: millis(b.now),
	})
	return err
}

// admitSession bounds the sessions that are unknown so far. Known ones have a
// bound of their own.
func (b *book) admitSession(id pq3.SessionID, waiting int) error {
	if b.sessions.Find(id) != nil {
		return nil
	}
	same, err := b.tx.Waiting(b.peer.Device.ID, id)
	if err != nil || len(same) > 0 {
		return err
	}
	unknown := waiting
	for _, s := range b.sessions {
		rows, err := b.tx.Waiting(b.peer.Device.ID, s.ID())
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			unknown--
		}
	}
	if unknown >= maxWaitingSessions {
		return reject.New("V-108", ErrWaitingFull, "4 unknown sessions of one device")
	}
	return nil
}

// drain opens what waited for a session, in order of arrival, each message in
// a transaction of its own, for as long as that makes progress.
func (c *Client) drain(ctx context.Context, peer account.Party, session pq3.SessionID) error {
	for {
		rows, err := c.waiting(ctx, peer.Device.ID, session)
		if err != nil {
			return err
		}
		progress := false
		for _, row := range rows {
			left, err := c.openWaiting(ctx, peer, row)
			if err != nil {
				return err
			}
			progress = progress || left
		}
		if !progress {
			return nil
		}
		c.duties.madeRoom()
		c.events.announce()
	}
}

func (c *Client) waiting(ctx context.Context, device account.DeviceID, session pq3.SessionID) (rows []localdb.WaitingMessage, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) (err error) {
		rows, err = tx.Waiting(device, session)
		return err
	})
	return rows, err
}

// errStillWaiting rolls back an attempt whose objects are still missing.
var errStillWaiting = errors.New("client: still waiting")

// openWaiting tries one waiting message again and reports whether it has left
// the buffer, opened or refused for good.
func (c *Client) openWaiting(ctx context.Context, peer account.Party, row localdb.WaitingMessage) (left bool, err error) {
	err = c.update(ctx, func(tx *localdb.Tx) error {
		b, err := c.openBook(tx, peer, clock.Now())
		if err != nil {
			return err
		}
		return b.openWaiting(row)
	})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, errStillWaiting):
		return false, nil
	case !c.refuse(err):
		return false, err
	}
	return true, c.update(ctx, func(tx *localdb.Tx) error {
		return tx.DeleteWaiting(row.Device, row.Hash)
	})
}

func (b *book) openWaiting(row localdb.WaitingMessage) error {
	m, err := pq3.ParseMessage(row.Payload)
	if err != nil {
		return err
	}
	next, plaintext, err := b.unseal(m)
	if errors.Is(err, pq3.ErrObjectsMissing) {
		return errStillWaiting
	}
	if err != nil {
		return err
	}
	message, err := content.Decode(plaintext)
	if err != nil {
		return err
	}
	contact, err := b.owner()
	if err != nil {
		return err
	}
	if err := b.save(next); err != nil {
		return err
	}
	if err := b.tx.DeleteWaiting(row.Device, row.Hash); err != nil {
		return err
	}
	return b.apply(contact, m, message)
}

// owner is the account of the peer device.
func (b *book) owner() (localdb.Contact, error) {
	if !b.client.isSelf(b.peer.Account) {
		return b.tx.Contact(b.peer.Account)
	}
	me, err := b.client.self(b.tx)
	return me.row, err
}

// drainAll tries everything that waits, after a crash between the message that
// brought the objects and those that waited for it.
func (c *Client) drainAll(ctx context.Context) error {
	var rows []localdb.WaitingMessage
	if err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		rows, err = tx.AllWaiting()
		return err
	}); err != nil {
		return err
	}
	type chain struct {
		device  account.DeviceID
		session pq3.SessionID
	}
	done := map[chain]bool{}
	for _, row := range rows {
		at := chain{row.Device, row.Session}
		if done[at] {
			continue
		}
		done[at] = true
		peer, ok, err := c.partyOf(ctx, row.Account, row.Device)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := c.drain(ctx, peer, row.Session); err != nil {
			return err
		}
	}
	return nil
}

// partyOf finds a device in the stored roster of its account.
func (c *Client) partyOf(ctx context.Context, owner account.ID, device account.DeviceID) (account.Party, bool, error) {
	p, err := c.knownByID(ctx, owner)
	if err != nil || p.roster == nil {
		return account.Party{}, false, err
	}
	record, ok := p.roster.Device(device)
	return account.Party{Account: owner, Device: record}, ok, nil
}
