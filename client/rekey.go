package client

import (
	"context"
	"errors"
	"sync"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/pq3"
)

// baselines are the states that asked-for rekeys started from.
type baselines struct {
	mu sync.Mutex
	of map[account.DeviceID]pq3.Status
}

func newBaselines() *baselines { return &baselines{of: map[account.DeviceID]pq3.Status{}} }

func (b *baselines) set(device account.DeviceID, s pq3.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of[device] = s
}

// orNow returns the stored baseline, or makes the given state one.
func (b *baselines) orNow(device account.DeviceID, s pq3.Status) pq3.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.of[device]; !ok {
		b.of[device] = s
	}
	return b.of[device]
}

// Rekey asks a contact's devices for a post-quantum rekey now, whatever the
// policy. It is complete when they have answered: see WaitRekey. Errors:
// ErrUnknownName, ErrNoSession, ErrOffline (the request is kept).
func (c *Client) Rekey(ctx context.Context, name account.Name) error {
	p, err := c.contact(ctx, name)
	if err != nil {
		return err
	}
	for _, peer := range p.parties() {
		if err := c.sealFor(ctx, peer, func(b *book) error {
			s := b.sessions.Sending()
			if s == nil {
				return ErrNoSession
			}
			c.baselines.set(peer.Device.ID, s.Status(b.now))
			if err := befriend(b.tx, p.row, b.now); err != nil {
				return err
			}
			return b.sealRekey()
		}); err != nil {
			return err
		}
	}
	return c.flush(ctx)
}

// WaitRekey stays connected until every device of the contact has completed a
// rekey since Rekey was called, or since now. It ends with ctx's error when
// the peer does not answer in time.
func (c *Client) WaitRekey(ctx context.Context, name account.Name) error {
	p, err := c.contact(ctx, name)
	if err != nil {
		return err
	}
	return c.await(ctx, func() (bool, error) {
		for _, peer := range p.parties() {
			if done, err := c.rekeyed(ctx, peer); err != nil || !done {
				return false, errors.Join(err, c.askAgain(ctx, peer))
			}
		}
		return true, nil
	})
}

// askAgain sends the heartbeat once more when the peer answered the last one on
// a chain that it had opened before, so that its reply could not advertise. It
// is this device's turn now, and its own heartbeat advertises.
func (c *Client) askAgain(ctx context.Context, peer account.Party) error {
	asked := false
	err := c.sealFor(ctx, peer, func(b *book) error {
		s := b.sessions.Sending()
		limits, err := b.tx.Repair(b.peer.Device.ID)
		if err != nil || s == nil || s.Sending() || s.OwesAnswer() || limits.HeartbeatAt != 0 {
			return err
		}
		asked = true
		return b.sealRekey()
	})
	if err != nil || !asked {
		return err
	}
	return c.flush(ctx)
}

// rekeyed reports whether the sending session has completed a rekey since its
// baseline.
func (c *Client) rekeyed(ctx context.Context, peer account.Party) (bool, error) {
	var done bool
	err := c.readBook(ctx, peer, func(b *book) error {
		s := b.sessions.Sending()
		if s == nil {
			return ErrNoSession
		}
		now := s.Status(b.now)
		before := c.baselines.orNow(peer.Device.ID, now)
		done = !now.LastRekey.IsZero() && (now.Session != before.Session || now.KEMRekeys > before.KEMRekeys)
		return nil
	})
	return done, err
}

// readBook runs f on the sessions with a device without changing them.
func (c *Client) readBook(ctx context.Context, peer account.Party, f func(*book) error) error {
	return c.view(ctx, func(tx *localdb.Tx) error {
		b, err := c.openBook(tx, peer, clock.Now())
		if err != nil {
			return err
		}
		return f(b)
	})
}

// contact finds a name among the people this profile knows, without the
// network.
func (c *Client) contact(ctx context.Context, name account.Name) (person, error) {
	p, err := c.knownByName(ctx, name)
	if err == nil && !p.known {
		err = ErrUnknownName
	}
	return p, err
}
