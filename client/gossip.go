package client

import (
	"context"
	"errors"
	"time"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
)

// How devices tell each other what they see of the log. The server cannot tell
// which messages do.
const (
	// gossipOdds of 256 texts after the first to a device carry a head: 7 %.
	gossipOdds = 18
	// toldDevices are remembered as told. One more, and a random one is told
	// again.
	toldDevices = 256
	// heardHeads wait at most to be compared.
	heardHeads = 16
	// peerCheckEvery is the least time between two questions to the server that
	// heads of peers cause.
	peerCheckEvery = time.Hour
)

// gossip tells a device the newest head of the log: with the first text to it,
// and now and then.
func (b *book) gossip() error {
	row, err := b.tx.Log()
	if exists, err := found(err); err != nil || !exists || b.needsSession() {
		return err
	}
	told, err := b.tx.Told(b.peer.Device.ID)
	if err != nil || told && !b.client.inclined() {
		return err
	}
	head, err := headOf(row)
	if err != nil {
		return err
	}
	message := b.client.newMessage(content.Gossip{Head: [108]byte(head.Marshal())}, b.now)
	if _, err := b.seal(message, localdb.OutgoingGossip, 0); err != nil {
		return err
	}
	return b.tx.PutTold(b.peer.Device.ID, millis(b.now), toldDevices)
}

// inclined draws whether a text is one of those that carry a head.
func (c *Client) inclined() bool {
	var draw [1]byte
	c.entropy.Read(draw[:])
	return draw[0] < gossipOdds
}

// headOf is the head of a stored log.
func headOf(row localdb.Log) (kt.Head, error) {
	policy, err := kt.ParsePolicy(row.Policy)
	if err != nil {
		return kt.Head{}, errors.Join(localdb.ErrCorrupt, err)
	}
	cp, err := policy.Checkpoint(row.Note)
	if err != nil {
		return kt.Head{}, errors.Join(localdb.ErrCorrupt, err)
	}
	return cp.Head, nil
}

// hear keeps a head that a peer passed on, if the log signed it and it says
// something new. Strangers are heard too: what they say is signed by the log.
func (b *book) hear(raw []byte) error {
	row, err := b.tx.Log()
	if exists, err := found(err); err != nil || !exists {
		return err
	}
	policy, err := kt.ParsePolicy(row.Policy)
	if err != nil {
		return errors.Join(localdb.ErrCorrupt, err)
	}
	head, err := kt.ParseHead(raw)
	if err == nil {
		err = policy.CheckHead(head)
	}
	if b.client.refuse(err) || head.Size == row.Size && head.Root == row.Root {
		return nil
	}
	return b.tx.PutHeard(localdb.Heard{Head: raw, Account: b.peer.Account, At: millis(b.now)}, heardHeads)
}

// compareHeard holds what peers passed on against this device's own view. What
// contradicts it raises the alarm and is no error: mail goes on.
func (c *Client) compareHeard(ctx context.Context) error {
	var heard []localdb.Heard
	err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		heard, err = tx.Heard()
		return err
	})
	if err != nil || len(heard) == 0 {
		return err
	}
	if err := c.watch.begin(ctx); err != nil {
		return err
	}
	defer c.watch.end()
	l, err := c.ledger(ctx)
	if err != nil || l == nil || l.Alarm != "" {
		return err
	}
	for _, h := range heard {
		head, err := kt.ParseHead(h.Head)
		if err != nil {
			return errors.Join(localdb.ErrCorrupt, err)
		}
		decided, err := c.compare(ctx, l, head)
		if errors.Is(err, ErrTransparency) {
			return c.update(ctx, func(tx *localdb.Tx) error { return tx.DropHeard(h.Head) })
		}
		if err != nil {
			return err
		}
		if decided {
			if err := c.update(ctx, func(tx *localdb.Tx) error { return tx.DropHeard(h.Head) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare decides about one head, or leaves it for later. What contradicts the
// own view gives ErrTransparency, with the alarm raised.
func (c *Client) compare(ctx context.Context, l *ledger, head kt.Head) (decided bool, err error) {
	if head.Size == l.Size {
		if head.Root == l.Root {
			return true, nil
		}
		return true, c.forked(ctx, l, head, nil)
	}
	now := clock.Now()
	if asked := now.Sub(instant(l.AskedAt)); asked >= 0 && asked < peerCheckEvery {
		return false, nil
	}
	l.AskedAt = millis(now)
	if err := c.update(ctx, func(tx *localdb.Tx) error { return tx.PutLog(l.Log) }); err != nil {
		return false, err
	}
	if head.Size > l.Size {
		if err := c.catchUp(ctx, l); err != nil {
			return false, passOver(err)
		}
	}
	if head.Size == l.Size {
		return c.compare(ctx, l, head)
	}
	return c.connect(ctx, l, head)
}

// connect asks the server to prove that two sizes of the log, both of which it
// has signed, belong to one log. Whatever it does but that is a lie, unless it
// cannot be reached.
func (c *Client) connect(ctx context.Context, l *ledger, head kt.Head) (decided bool, err error) {
	older, newer := &kt.Checkpoint{Size: head.Size, Root: head.Root}, &kt.Checkpoint{Size: l.Size, Root: l.Root}
	if older.Size > newer.Size {
		older, newer = newer, older
	}
	steps, err := c.server.LogConsistency(ctx, older.Size, newer.Size)
	if err != nil && !errors.Is(err, transport.ErrRefused) {
		return false, passOver(err)
	}
	if err == nil && newer.Follows(older.Size, older.Root, steps) == nil {
		return true, nil
	}
	return true, c.forked(ctx, l, head, steps)
}

// passOver leaves network trouble for later: mail goes on without the log.
func passOver(err error) error {
	if errors.Is(err, ErrTransparency) {
		return err
	}
	return nil
}

// forked raises the alarm over a head that does not belong to the own log.
func (c *Client) forked(ctx context.Context, l *ledger, head kt.Head, steps [][32]byte) error {
	refused := reject.New("V-186", kt.ErrFork, "a contact was shown another log")
	return c.lied(ctx, l, refused, &kt.Evidence{
		Kind: kt.KindFork, Notes: [2][]byte{l.Note, head.Note(l.policy.Origin())}, Proof: steps,
	})
}

// catchUp fetches and verifies the newest checkpoint, and stores it. The caller
// has the turn.
func (c *Client) catchUp(ctx context.Context, l *ledger) error {
	served, err := c.server.LogHead(ctx, l.Size)
	if err != nil {
		return remote(err)
	}
	now := clock.Now()
	cp, err := l.policy.Checkpoint(served.Checkpoint)
	if err == nil {
		err = cp.Fresh(now)
	}
	if err == nil {
		if err = cp.Follows(l.Size, l.Root, served.Consistency); errors.Is(err, kt.ErrFork) {
			return c.lied(ctx, l, err, &kt.Evidence{
				Kind: kt.KindFork, Notes: [2][]byte{l.Note, served.Checkpoint}, Proof: served.Consistency,
			})
		}
	}
	if err != nil {
		return &LogError{Err: err}
	}
	l.Log = l.advanced(cp, now)
	return c.update(ctx, (&proof{log: l.Log}).store)
}
