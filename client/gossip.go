package client

import (
	"context"
	"errors"
	"time"

	"github.com/posthorn/posthorn/api"
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
	// heardHeads wait at most to be compared, one of each account.
	heardHeads = 64
	// peerCheckEvery is the least time between two passes in which heads of peers
	// make this device ask the server.
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
	p := hearing{Client: c, log: l}
	for _, h := range heard {
		if err := p.take(ctx, h); err != nil {
			return err
		}
		if l.Alarm != "" {
			return nil
		}
	}
	return nil
}

// hearing is one pass over the heads that peers passed on.
type hearing struct {
	*Client
	log    *ledger
	asks   bool // the server may be asked in this pass
	caught bool // it was asked for its newest checkpoint
}

// take compares one head, and forgets it once it is decided. What cannot be
// decided stays: who lies must not get rid of it by an answer that proves
// nothing. After a day the user is told.
func (p *hearing) take(ctx context.Context, h localdb.Heard) error {
	head, err := kt.ParseHead(h.Head)
	if err != nil {
		return errors.Join(localdb.ErrCorrupt, err)
	}
	decided, err := p.compare(ctx, head)
	if errors.Is(err, ErrTransparency) {
		p.Client.log.Warn("the transparency log does not agree with what a contact was shown", "error", err)
		err = p.alarmed(ctx)
	}
	if err != nil {
		return err
	}
	late := p.asks && clock.Now().Sub(instant(h.At)) > kt.MaxAge
	if !decided && !late {
		return nil
	}
	return p.update(ctx, func(tx *localdb.Tx) error {
		if err := tx.DropHeard(h.Account); err != nil || decided {
			return err
		}
		return notify(tx, "a contact was shown the server's key log in a state that the server has not connected with yours for a day; ask its operator, and compare codes with your contacts before you trust new devices")
	})
}

// alarmed reads whether an alarm was raised.
func (p *hearing) alarmed(ctx context.Context) error {
	l, err := p.ledger(ctx)
	if err == nil && l != nil {
		p.log.Alarm = l.Alarm
	}
	return err
}

// compare decides about one head, or leaves it for later. What contradicts the
// own view gives ErrTransparency, with the alarm raised.
func (p *hearing) compare(ctx context.Context, head kt.Head) (decided bool, err error) {
	if head.Size == p.log.Size {
		if head.Root == p.log.Root {
			return true, nil
		}
		return true, p.forked(ctx, p.log, head, nil)
	}
	if may, err := p.mayAsk(ctx); err != nil || !may {
		return false, err
	}
	if head.Size > p.log.Size && !p.caught {
		p.caught = true
		if err := p.catchUp(ctx, p.log); err != nil {
			return false, passOver(err)
		}
	}
	if head.Size == p.log.Size {
		return p.compare(ctx, head)
	}
	return p.connect(ctx, head)
}

// mayAsk reports whether this pass may ask the server, and notes that it does.
func (p *hearing) mayAsk(ctx context.Context) (bool, error) {
	now := clock.Now()
	if asked := now.Sub(instant(p.log.AskedAt)); p.asks || asked >= 0 && asked < peerCheckEvery {
		return p.asks, nil
	}
	p.asks, p.log.AskedAt = true, millis(now)
	return true, p.update(ctx, func(tx *localdb.Tx) error { return tx.PutLog(p.log.Log) })
}

// connect asks the server to prove that two sizes of the log, both of which it
// has signed, belong to one log. A proof that does not, or its word that there is
// no such size, is a lie. Whatever else goes wrong may be somebody on the way,
// and decides nothing.
func (p *hearing) connect(ctx context.Context, head kt.Head) (decided bool, err error) {
	older, newer := &kt.Checkpoint{Size: head.Size, Root: head.Root}, &kt.Checkpoint{Size: p.log.Size, Root: p.log.Root}
	if older.Size > newer.Size {
		older, newer = newer, older
	}
	var steps [][32]byte
	for range 2 { // one proof may be damaged on its way
		if steps, err = p.server.LogConsistency(ctx, older.Size, newer.Size); err != nil && !deniesSize(err) {
			return false, nil
		}
		if err == nil && newer.Follows(older.Size, older.Root, steps) == nil {
			return true, nil
		}
	}
	return true, p.forked(ctx, p.log, head, steps)
}

// deniesSize reports whether the server itself says that its log has no such
// sizes. A proxy that does not know the call is refused by no reason of ours.
func deniesSize(err error) bool {
	refused, ok := errors.AsType[*transport.Error](err)
	return ok && errors.Is(refused, transport.ErrRefused) && refused.Reason == api.ReasonBadRequest
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

// rolledBack keeps the two checkpoints that show a log which was put back.
func (c *Client) rolledBack(ctx context.Context, l *ledger, refused error, shown []byte) error {
	return c.lied(ctx, l, refused, &kt.Evidence{Kind: kt.KindRollback, Notes: [2][]byte{l.Note, shown}})
}

// catchUp fetches and verifies the newest checkpoint, and stores it. The caller
// has the turn.
func (c *Client) catchUp(ctx context.Context, l *ledger) error {
	served, err := c.server.LogHead(ctx, l.Size)
	if err != nil {
		return remote(err)
	}
	now := clock.Now()
	root, err := kt.ParseRoot(served.Root)
	if err != nil {
		return &LogError{Err: err}
	}
	next, err := c.followed(ctx, l, served.Checkpoint, root)
	if err != nil {
		return remote(err)
	}
	cp, err := next.policy.Checkpoint(served.Checkpoint)
	if err == nil {
		err = cp.Fresh(now)
	}
	if err == nil {
		served.Consistency = c.steps(ctx, l, cp, served.Consistency)
		if err = cp.Follows(l.Size, l.Root, served.Consistency); errors.Is(err, kt.ErrFork) {
			return c.lied(ctx, l, err, &kt.Evidence{
				Kind: kt.KindFork, Notes: [2][]byte{l.Note, served.Checkpoint}, Proof: served.Consistency,
			})
		}
		if errors.Is(err, kt.ErrRollback) {
			return c.rolledBack(ctx, l, err, served.Checkpoint)
		}
	}
	if err == nil {
		err = cp.Ends(root, served.RootInclusion)
	}
	if err != nil {
		return &LogError{Err: err}
	}
	next.Log = next.advanced(cp, now)
	if err := c.update(ctx, (&proof{log: next.Log, policy: next.fresh}).store); err != nil {
		return err
	}
	next.fresh = nil
	*l = *next
	return nil
}
