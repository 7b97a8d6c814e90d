package client

import (
	"context"
	"errors"
	"time"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/pq3"
)

// The pace of requests for lost objects, the same for asking and answering
// (SPEC §10.3).
const (
	objectsPause  = time.Minute
	objectsAtMost = 10 // for one chain
	askedInVain   = 3  // unanswered requests in a day call for repair
	day           = 24 * time.Hour
)

// errAskedEnough says that requests did not help.
var errAskedEnough = errors.New("client: requests for objects stay unanswered")

// requestObjects asks a contact for the objects that waiting messages need. A
// chain of epoch 0 has no session yet to ask on, so a signed control message
// does it; later ones are asked for under encryption.
func (c *Client) requestObjects(ctx context.Context, from sender) error {
	var first *pq3.Message
	err := c.withBook(ctx, from.party, func(b *book) (err error) {
		if first, err = b.firstWaiting(); err != nil || first == nil {
			return err
		}
		return b.askFor(first)
	})
	if errors.Is(err, errAskedEnough) {
		return c.reportUnknown(ctx, from, first)
	}
	return err
}

// firstWaiting is the oldest waiting message of the device, nil if none waits.
func (b *book) firstWaiting() (*pq3.Message, error) {
	totals, err := b.tx.WaitingTotals(b.peer.Device.ID)
	if err != nil || totals.Messages == 0 {
		return nil, err
	}
	rows, err := b.tx.AllWaiting()
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.Device == b.peer.Device.ID {
			return pq3.ParseMessage(row.Payload)
		}
	}
	return nil, nil
}

// askFor seals one request, if the pace allows it.
func (b *book) askFor(m *pq3.Message) error {
	limits, err := b.tx.Repair(b.peer.Device.ID)
	if err != nil || b.since(limits.AskedAt) < objectsPause {
		return err
	}
	if limits.AskedSession != m.Session() || limits.AskedEpoch != m.Epoch() {
		limits.AskedSession, limits.AskedEpoch, limits.AskedCount = m.Session(), m.Epoch(), 0
		limits.UnansweredCount = 0
	}
	if limits.UnansweredCount == 0 || b.since(limits.UnansweredSince) > day {
		limits.UnansweredSince, limits.UnansweredCount = millis(b.now), 0
	}
	if limits.UnansweredCount >= askedInVain {
		return errAskedEnough
	}
	if limits.AskedCount >= objectsAtMost {
		return nil
	}
	asked, err := b.ask(m)
	if err != nil || !asked {
		return err
	}
	limits.Device, limits.AskedAt = b.peer.Device.ID, millis(b.now)
	limits.AskedCount++
	limits.UnansweredCount++
	return b.tx.PutRepair(limits)
}

func (b *book) ask(m *pq3.Message) (asked bool, err error) {
	if m.Epoch() == 0 {
		return true, b.sealControl(m, pq3.ControlObjectsWanted)
	}
	s := b.sessions.Find(m.Session())
	if s == nil || s.CanSend(b.now) != nil {
		return false, nil
	}
	wanted := content.ObjectsWanted{Session: m.Session(), Epoch: m.Epoch(), Digest: m.ObjectsDigest()}
	_, err = b.sealOn(s, b.client.newMessage(wanted, b.now), localdb.OutgoingObjectsWanted, 0)
	return true, err
}

// sealControl signs a control message about m and puts it into the outbox.
func (b *book) sealControl(m *pq3.Message, t pq3.ControlType) error {
	about := pq3.ControlAbout(m, t, b.now, b.client.entropy)
	wire, err := pq3.SealControl(b.client.me, b.peer, about, b.client.entropy)
	if err != nil {
		return err
	}
	return b.enqueue(wire, m.Hash(), content.ID(about.Nonce), localdb.OutgoingControl)
}

// answerWanted answers an encrypted request. One that is not mine to answer is
// counted, and the message that brought it still counts as received.
func (b *book) answerWanted(wanted content.ObjectsWanted) error {
	s := b.sessions.Find(wanted.Session)
	if s == nil || !s.SendsObjects(wanted.Epoch, wanted.Digest) {
		b.client.refuse(reject.New("V-109", ErrResendRefused, "not the chain that is being sent on"))
		return nil
	}
	err := b.resendObjects(s)
	if b.client.refuse(err) {
		return nil
	}
	return err
}

// answerControl answers a signed request about epoch 0. The hash must be of a
// message that is still unconfirmed, so a request about anything else does
// nothing.
func (b *book) answerControl(ctl *pq3.Control) error {
	_, err := b.tx.OutgoingByHash(b.peer.Device.ID, ctl.Message)
	known, err := found(err)
	if err != nil {
		return err
	}
	s := b.sessions.Find(ctl.Session)
	if !known || s == nil || !s.Sending() || s.Epoch() != 0 {
		return reject.New("V-109", ErrResendRefused, "not an unanswered session start")
	}
	return b.resendObjects(s)
}

// resendObjects sends one new empty message that carries the objects of the
// chain, at the pace of SPEC §10.3.
func (b *book) resendObjects(s *pq3.Session) error {
	limits, err := b.tx.Repair(b.peer.Device.ID)
	if err != nil {
		return err
	}
	if limits.AnsweredSession != s.ID() || limits.AnsweredEpoch != s.Epoch() {
		limits.AnsweredSession, limits.AnsweredEpoch, limits.AnsweredCount = s.ID(), s.Epoch(), 0
	}
	if b.since(limits.AnsweredAt) < objectsPause || limits.AnsweredCount >= objectsAtMost || s.CanSend(b.now) != nil {
		return reject.New("V-109", ErrResendRefused, "at most one in 60 seconds and 10 for a chain")
	}
	limits.Device, limits.AnsweredAt = b.peer.Device.ID, millis(b.now)
	limits.AnsweredCount++
	if err := b.tx.PutRepair(limits); err != nil {
		return err
	}
	_, err = b.sealOn(s, b.client.newMessage(content.Objects{}, b.now), localdb.OutgoingObjects, pq3.ForceObjects)
	return err
}

// since is the time since a stored instant; never counts as very long ago, and
// so does a clock that went backwards by more than a day.
func (b *book) since(at uint64) time.Duration {
	if at == 0 {
		return 365 * day
	}
	age := b.now.Sub(instant(at))
	if age < -day {
		return 365 * day
	}
	return age
}
