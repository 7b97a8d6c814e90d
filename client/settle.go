package client

import (
	"context"
	"errors"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/pq3"
)

// settle seals what this device owes its contacts and transmits the outbox.
// Strangers are owed nothing.
func (c *Client) settle(ctx context.Context) error {
	for device, owner := range c.duties.take() {
		if err := c.settleDevice(ctx, owner, device); err != nil {
			c.duties.add(owner, device)
			return err
		}
	}
	if err := c.compareHeard(ctx); err != nil {
		return err
	}
	if err := c.takeIn(ctx); err != nil {
		return err
	}
	if err := c.payOwed(ctx); err != nil {
		return err
	}
	return c.goOn(ctx, c.flush(ctx))
}

// settleDevice serves one device: requests for lost objects, receipts, the
// answer to its KEM key, and a heartbeat when one is due.
func (c *Client) settleDevice(ctx context.Context, owner account.ID, device account.DeviceID) error {
	p, err := c.knownByID(ctx, owner)
	if err != nil || p.row.State != localdb.Friend {
		return err
	}
	record, ok := p.roster.Device(device)
	if !ok {
		return nil
	}
	peer := account.Party{Account: owner, Device: record}
	if err := c.requestObjects(ctx, sender{person: p, party: peer}); err != nil {
		return err
	}
	err = c.sealFor(ctx, peer, (*book).answer)
	if errors.Is(err, ErrWaitingForPeer) {
		return nil // nothing can be sealed now; what is owed stays owed
	}
	return err
}

// answer seals receipts, or a RekeyReply if a KEM key is unanswered and nothing
// else goes out, or a heartbeat.
func (b *book) answer() error {
	if err := b.forgetAnswered(); err != nil {
		return err
	}
	sent := false
	for {
		receipt, err := b.owedReceipt()
		if err != nil {
			return err
		}
		if len(receipt.Delivered) == 0 {
			break
		}
		if _, err := b.seal(b.client.newMessage(receipt, b.now), localdb.OutgoingReceipt, 0); err != nil {
			return err
		}
		sent = true
	}
	s := b.sessions.Sending()
	if s == nil || sent || b.needsSession() {
		return nil
	}
	if s.OwesAnswer() {
		_, err := b.seal(b.client.newMessage(content.RekeyReply{}, b.now), localdb.OutgoingRekeyReply, 0)
		return err
	}
	return b.heartbeat(s)
}

// forgetAnswered drops the rows of accepted frames other than texts and news once
// the peer has opened an epoch: it has the session, so it will not ask for repair
// on their account. Texts and news stay until their receipts.
func (b *book) forgetAnswered() error {
	if s := b.sessions.Sending(); s == nil || s.Sending() {
		return nil
	}
	rows, err := b.tx.UnacknowledgedOutgoing(b.peer.Device.ID)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if !row.Accepted || row.Kind == localdb.OutgoingText || row.Kind == localdb.OutgoingSync {
			continue
		}
		if err := b.tx.DeleteOutgoing(row.Seq); err != nil {
			return err
		}
	}
	return nil
}

// maxJitter spreads heartbeats, so that their times do not tell devices apart.
const maxJitter = 10 * time.Minute

// heartbeat sends a Rekey frame when the time limit has passed without a
// rekey, unless the last one is unanswered.
func (b *book) heartbeat(s *pq3.Session) error {
	if s.AwaitsAnswer() || !s.HeartbeatDue(b.now.Add(-b.client.jitter(s))) {
		return nil
	}
	limits, err := b.tx.Repair(b.peer.Device.ID)
	if err != nil || limits.HeartbeatAt != 0 {
		return err
	}
	return b.sealRekey()
}

// jitter is a delay of this device's own for each session: the same at every
// look, different at the two ends, at most a tenth of the interval.
func (c *Client) jitter(s *pq3.Session) time.Duration {
	every := c.policy.Every
	if every == 0 {
		every = pq3.DefaultPolicy().Every
	}
	limit := uint64(min(maxJitter, every/10))
	id, device := s.ID(), c.profile.Device
	mixed := uint64(0)
	for i := range id {
		mixed = mixed*251 + uint64(id[i]^device[i])
	}
	return time.Duration(mixed % max(limit, 1))
}

// sealRekey seals the heartbeat. On a chain of the peer's it opens an epoch
// that advertises a KEM key; on a chain of our own the reply will.
func (b *book) sealRekey() error {
	if _, err := b.seal(b.client.newMessage(content.Rekey{}, b.now), localdb.OutgoingRekey, pq3.ForceAdvertise); err != nil {
		return err
	}
	limits, err := b.tx.Repair(b.peer.Device.ID)
	if err != nil {
		return err
	}
	limits.Device, limits.HeartbeatAt = b.peer.Device.ID, millis(b.now)
	return b.tx.PutRepair(limits)
}

// replyRekey answers a heartbeat with exactly one RekeyReply, in the
// transaction that received it. If the heartbeat brought a KEM key the reply
// answers it; otherwise the reply advertises one.
func (b *book) replyRekey() error {
	s := b.sessions.Sending()
	if s == nil || b.needsSession() {
		return nil
	}
	var force pq3.Force
	if !s.OwesAnswer() {
		force = pq3.ForceAdvertise
	}
	_, err := b.seal(b.client.newMessage(content.RekeyReply{}, b.now), localdb.OutgoingRekeyReply, force)
	return err
}
