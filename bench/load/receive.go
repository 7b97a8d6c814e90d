package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/posthorn/posthorn/client/transport"
)

// receiver reads one mailbox as a device does: store, then acknowledge.
type receiver struct {
	mailbox *mailbox
	ledger  *ledger
	// restless makes it leave and come back now and then, sometimes before its
	// last ack has gone out.
	restless bool
}

// run reads until ctx ends. caughtUp is called when the backlog is through.
func (r *receiver) run(ctx context.Context, caughtUp func()) error {
	for {
		err := r.session(ctx, caughtUp)
		if ctx.Err() != nil {
			return nil
		}
		var failed *transport.Error
		if err != nil && !(errors.As(err, &failed) && (errors.Is(err, transport.ErrOffline) || errors.Is(err, transport.ErrLimited))) {
			return fmt.Errorf("receive: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(20*time.Millisecond + rand.N(100*time.Millisecond)):
		}
	}
}

// session is one delivery stream. A restless receiver ends it by itself.
func (r *receiver) session(ctx context.Context, caughtUp func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.restless {
		timer := time.AfterFunc(time.Second+rand.N(9*time.Second), cancel)
		defer timer.Stop()
	}
	stream, err := r.mailbox.device.client.Receive(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	stored, acked := make(chan struct{}, 1), make(chan error, 1)
	go func() { acked <- r.acknowledge(ctx, stored) }()
	for {
		batch, err := stream.Next()
		if err != nil {
			cancel()
			return errors.Join(err, <-acked)
		}
		if r.take(batch); len(batch.Deliveries) > 0 {
			select {
			case stored <- struct{}{}:
			default:
			}
		}
		if batch.CaughtUp {
			caughtUp()
		}
	}
}

// take enters a batch.
func (r *receiver) take(batch transport.Batch) {
	if batch.Expired > 0 {
		r.ledger.fault("%d envelopes expired in the run", batch.Expired)
	}
	now := r.ledger.now()
	for _, d := range batch.Deliveries {
		r.ledger.deliver(r.mailbox, d, now)
	}
}

// ackEvery is how long a device gathers deliveries before it acknowledges them
// all at once, as one does that saves its battery.
const ackEvery = 50 * time.Millisecond

// acknowledge tells the server, now and then, how far the device has come.
func (r *receiver) acknowledge(ctx context.Context, stored <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-stored:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(ackEvery):
		}
		head := r.mailbox.seen()
		err := r.mailbox.device.client.Ack(ctx, head, 0)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		r.mailbox.confirm(head)
	}
}

// receivers runs one receiver for each mailbox. ready is closed when all have
// caught up; stop ends them and returns the first failure.
func receivers(ctx context.Context, l *ledger, mailboxes []*mailbox, restless bool) (ready <-chan struct{}, stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	failed := make(chan error, len(mailboxes))
	caught := make(chan struct{})
	var all, waiting sync.WaitGroup
	for _, m := range mailboxes {
		waiting.Add(1)
		once := sync.OnceFunc(waiting.Done)
		all.Go(func() {
			defer once()
			if err := (&receiver{mailbox: m, ledger: l, restless: restless}).run(ctx, once); err != nil {
				failed <- err
			}
		})
	}
	go func() { waiting.Wait(); close(caught) }()
	return caught, func() error {
		cancel()
		all.Wait()
		close(failed)
		return <-failed
	}
}

// drained waits until everything accepted has arrived, or for the limit.
func drained(ctx context.Context, l *ledger, limit time.Duration) time.Duration {
	begun := time.Now()
	for l.outstanding() > 0 && time.Since(begun) < limit && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begun)
}
