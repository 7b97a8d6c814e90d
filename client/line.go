package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/posthorn/posthorn/client/transport"
)

// line says who talks to the server and whether that works. One goroutine at a
// time holds it, because a second stream would push out the first.
type line struct {
	held chan struct{} // holds one token while somebody has the line

	mu       sync.Mutex
	up       bool // the stream is open
	caughtUp bool // everything stored when it opened has been seen
}

func newLine() *line { return &line{held: make(chan struct{}, 1)} }

// take waits for the line.
func (l *line) take(ctx context.Context) error {
	select {
	case l.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tryTake takes the line if nobody has it.
func (l *line) tryTake() bool {
	select {
	case l.held <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l *line) release() {
	l.drop()
	<-l.held
}

// drop notes that the stream is gone.
func (l *line) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up, l.caughtUp = false, false
}

// progress notes a sign of life of the stream, and whether it has caught up.
func (l *line) progress(caughtUp bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up, l.caughtUp = true, l.caughtUp || caughtUp
}

func (l *line) state() (up, caughtUp bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up, l.caughtUp
}

// Run stays connected until ctx ends, and then returns nil: it fetches,
// answers, sends what waits, and keeps prekeys and rekeys fresh. When the
// server is out of reach it tries again, later each time. While another
// goroutine has the line, Run waits for its turn. It returns an error only when
// trying again cannot help, such as a full disk.
func (c *Client) Run(ctx context.Context) error {
	if c.line.take(ctx) != nil {
		return nil
	}
	defer c.line.release()
	var pause backoff
	for {
		began := time.Now()
		err := c.attend(ctx, false)
		c.line.drop()
		c.events.announce()
		if ctx.Err() != nil {
			return nil
		}
		if !passing(err) {
			return err
		}
		if time.Since(began) > steady {
			pause = backoff{}
		}
		c.log.Debug("reconnecting", "after", pause.next(err))
		if pause.wait(ctx) != nil {
			return nil
		}
	}
}

// Sync connects once: it sends what waits, fetches everything the server holds,
// and sends receipts and answers before it returns. While Run has the line,
// Sync only sends and waits until Run has caught up. Error: ErrOffline.
func (c *Client) Sync(ctx context.Context) error {
	if !c.line.tryTake() {
		return c.followRun(ctx)
	}
	defer c.line.release()
	for range maxPasses {
		if err := c.attend(ctx, true); !errors.Is(err, errAgain) {
			return err
		}
	}
	return nil
}

// maxPasses bounds how often one Sync starts over because room was made for
// deliveries that had to stay on the server.
const maxPasses = 8

// followRun is Sync beside a goroutine that is connected already.
func (c *Client) followRun(ctx context.Context) error {
	if err := c.sendWaiting(ctx); err != nil {
		return err
	}
	for {
		change := c.events.change()
		if _, caughtUp := c.line.state(); caughtUp {
			return c.settle(ctx)
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendWaiting seals the texts that waited for keys and empties the outbox.
func (c *Client) sendWaiting(ctx context.Context) error {
	if err := c.flushQueued(ctx); err != nil {
		return err
	}
	if err := c.payOwed(ctx); err != nil {
		return err
	}
	return c.goOn(ctx, c.flush(ctx))
}

// passing reports whether an error of a connection may go away by itself.
func passing(err error) bool {
	if errors.Is(err, ErrRemovalUnproven) { // whatever it was that proved nothing
		return false
	}
	return err == nil || errors.Is(err, ErrStaleDevices) || errors.Is(err, errAgain) || errors.Is(err, ErrOffline) || errors.Is(err, transport.ErrOffline) ||
		errors.Is(err, transport.ErrReplaced) || errors.Is(err, transport.ErrLimited) || errors.Is(err, transport.ErrServer) ||
		errors.Is(err, ErrTransparency)
}

// await keeps the line, or waits beside who has it, until done says so. Before
// it leaves it sends what this device owes its contacts.
func (c *Client) await(ctx context.Context, done func() (bool, error)) error {
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	defer func() {
		stop()
		<-ended
	}()
	go func() {
		defer close(ended)
		ended <- c.Run(running)
	}()
	for {
		change := c.events.change()
		if ok, err := done(); err != nil {
			return err
		} else if ok {
			return c.leave(ctx)
		}
		select {
		case <-change:
		case err := <-ended:
			if err == nil {
				err = ctx.Err()
			}
			return err
		}
	}
}

// leave pays debts on the way out. Being offline by now is no error: they are
// paid at the next connection.
func (c *Client) leave(ctx context.Context) error {
	if err := c.settle(ctx); err != nil && !passing(err) {
		return err
	}
	return nil
}

// steady is how long a connection must last for the pauses to start over.
const steady = time.Minute

// backoff is a growing pause with full jitter, so that many clients do not
// come back at the same moment.
type backoff struct {
	tries int
	pause time.Duration
}

const (
	firstPause = 250 * time.Millisecond
	longPause  = time.Minute
)

// next chooses the next pause; a server that asked for a longer one gets it.
func (b *backoff) next(err error) time.Duration {
	limit := min(longPause, firstPause<<min(b.tries, 10))
	b.tries++
	b.pause = limit/2 + rand.N(limit/2)
	var asked *transport.Error
	if errors.As(err, &asked) && asked.RetryAfter > b.pause {
		b.pause = asked.RetryAfter
	}
	return b.pause
}

func (b *backoff) wait(ctx context.Context) error {
	timer := time.NewTimer(b.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
