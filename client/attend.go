package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
)

const (
	// answerDelay is how long receipts and answers are batched on average: from half to one and a
	// half of it, so that their times say less of when a device heard something. SPEC §8.5 allows two seconds.
	answerDelay = time.Second
	// longestRound is the greatest time between two rounds of upkeep.
	longestRound = time.Minute
)

// errAgain asks for a new stream at once: deliveries that had to stay on the
// server can be taken now.
var errAgain = errors.New("client: fetch again")

// shift is one connection's worth of receiving.
type shift struct {
	client  *Client
	once    bool   // end when caught up
	settled uint64 // everything up to here is stored or refused for good
	acked   uint64 // the server knows that
	expired uint64 // told to the owner; the server is to know
	stuck   bool   // a delivery stays on the server: acknowledge nothing more
	answer  <-chan time.Time
}

// attend connects, sends what waits, and receives: once until caught up, else
// until the connection ends. The caller holds the line.
func (c *Client) attend(ctx context.Context, once bool) error {
	if err := c.Belongs(ctx); err != nil {
		return err
	}
	return c.ProveRemoval(ctx, c.receiveAll(ctx, once))
}

func (c *Client) receiveAll(ctx context.Context, once bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := c.prepare(ctx); err != nil {
		return err
	}
	stream, err := c.server.Receive(ctx)
	if err != nil {
		return remote(err)
	}
	defer stream.Close()                        //nolint:errcheck // the stream is over either way
	if err := c.ensurePrekey(ctx); err != nil { // the login may have brought an alarm
		return err
	}
	steps := make(chan step)
	var pump sync.WaitGroup
	pump.Go(func() { forward(ctx, stream, steps) })
	defer pump.Wait()
	defer cancel()
	if !once {
		defer c.server.KeepSending()()
	}
	return (&shift{client: c, once: once}).work(ctx, steps)
}

// prepare does what must come before the first delivery.
func (c *Client) prepare(ctx context.Context) error {
	return inTurn(ctx, c.ensurePrekey, c.prune, c.drainAll, c.oweContacts, c.settleEarlierChange,
		c.watchOwnName, c.lookAtSelf, c.takeIn, c.continueTransfers, c.sendWaiting)
}

// settleEarlierChange clears up a change of the own roster whose answer was
// lost; one that still waits is no reason not to connect.
func (c *Client) settleEarlierChange(ctx context.Context) error {
	if err := c.settleChange(ctx); !errors.Is(err, ErrChangeWaits) {
		return err
	}
	return nil
}

// inTurn takes steps one after the other, until one fails.
func inTurn(ctx context.Context, steps ...func(context.Context) error) error {
	for _, do := range steps {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step is one batch, or the error that ended the stream.
type step struct {
	batch transport.Batch
	err   error
}

// forward reads the stream on a goroutine of its own, one batch ahead.
func forward(ctx context.Context, stream *transport.Stream, steps chan<- step) {
	for {
		batch, err := stream.Next()
		select {
		case steps <- step{batch, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// work is the loop: batches, answers when they are due, upkeep in between.
func (s *shift) work(ctx context.Context, steps <-chan step) error {
	round := time.NewTicker(clock.Nap(s.client.round()))
	defer round.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case next := <-steps:
			done, err := s.take(ctx, next)
			if err != nil || done {
				return err
			}
		case <-s.answer:
			s.answer = nil
			if err := s.client.settle(ctx); err != nil {
				return err
			}
		case <-round.C:
			if err := s.client.upkeep(ctx); err != nil {
				return err
			}
		}
	}
}

// take handles one batch, in order, and acknowledges what it may.
func (s *shift) take(ctx context.Context, next step) (done bool, err error) {
	if next.err != nil {
		return false, remote(next.err)
	}
	c := s.client
	if err := c.tellExpired(ctx, next.batch.Expired); err != nil {
		return false, err
	}
	if err := c.tellFetches(ctx, next.batch.Fetches); err != nil {
		return false, err
	}
	s.expired += next.batch.Expired
	err = s.receive(ctx, next.batch.Deliveries)
	if acked := s.acknowledge(ctx); err == nil {
		err = acked
	}
	if err != nil {
		return false, err
	}
	c.line.progress(next.batch.CaughtUp)
	c.events.announce()
	if s.stuck && c.duties.takeRoom() {
		return false, errAgain
	}
	if s.once && next.batch.CaughtUp {
		return true, c.settle(ctx)
	}
	if s.answer == nil && c.duties.any() {
		s.answer = time.After(answerDelay/2 + rand.N(answerDelay))
	}
	return false, nil
}

func (s *shift) receive(ctx context.Context, deliveries []transport.Delivery) error {
	for _, d := range deliveries {
		verdict, err := s.client.receive(ctx, d)
		if err != nil {
			return err
		}
		if s.client.duties.takeUrgent() {
			if err := s.client.takeIn(ctx); err != nil {
				return err
			}
		}
		if verdict == held {
			s.stuck = true
		}
		if !s.stuck {
			s.settled = d.Seq
		}
	}
	return nil
}

// acknowledge tells the server up to where it may forget.
func (s *shift) acknowledge(ctx context.Context) error {
	if s.settled <= s.acked && s.expired == 0 {
		return nil
	}
	if err := s.client.server.Ack(ctx, s.settled, s.expired); err != nil {
		return remote(err)
	}
	s.acked, s.expired = s.settled, 0
	return nil
}

// tellExpired passes on that envelopes aged out before they were fetched.
func (c *Client) tellExpired(ctx context.Context, n uint64) error {
	if n == 0 {
		return nil
	}
	return c.update(ctx, func(tx *localdb.Tx) error {
		return notify(tx, fmt.Sprintf("%d messages were too old when this device came online; the server had deleted them", n))
	})
}

// tellFetches passes on that this device's bundle was asked for unusually often.
func (c *Client) tellFetches(ctx context.Context, n uint64) error {
	if n == 0 {
		return nil
	}
	return c.update(ctx, func(tx *localdb.Tx) error {
		return notify(tx, fmt.Sprintf("the keys with which others begin a conversation with this device were asked for %d times within an hour; nobody can read anything by that, but somebody may be probing your account: tell the server's operator", n))
	})
}

// round is the time between two rounds of upkeep: short enough that a
// heartbeat is never late by more than a quarter of its interval.
func (c *Client) round() time.Duration {
	if c.policy.Every == 0 {
		return longestRound
	}
	return max(50*time.Millisecond, min(longestRound, c.policy.Every/4))
}

// upkeep is what a long connection does from time to time.
func (c *Client) upkeep(ctx context.Context) error {
	return inTurn(ctx, c.ensurePrekey, c.prune, c.oweContacts, c.watchOwnName, c.lookAtSelf, c.takeIn, c.flushQueued, c.settle)
}
