package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/pq3"
)

const (
	// prekeyLife is how long a bundle is the newest one.
	prekeyLife = 7 * 24 * time.Hour
	// fullBundle is the number of session starts at which a bundle is replaced
	// early, well before pq3 stops accepting any.
	fullBundle = 60_000
	// givenUpLife is how long the private half of a prekey stays that may be known
	// to somebody else, counted from when the server has another bundle: for what
	// is in the mailbox already. What comes later is repaired (SPEC §10.6).
	givenUpLife = time.Hour
	// outgoingLife is how long an unconfirmed row is kept for repair.
	outgoingLife = 60 * 24 * time.Hour
	// envelopeLife is how long an envelope id is remembered. The ratchet refuses
	// later repeats by itself; the ids only save the work.
	envelopeLife = 31 * 24 * time.Hour
)

// ensurePrekey publishes a new bundle when the newest is a week old or worn
// out, and one that was made but never published.
func (c *Client) ensurePrekey(ctx context.Context) error {
	var unpublished *account.Bundle
	var usable bool
	err := c.view(ctx, func(tx *localdb.Tx) error {
		newest, err := tx.NewestPrekey(account.PQ3A)
		if usable, err = found(err); err != nil || !usable {
			return err
		}
		if !newest.Published {
			if unpublished, err = bundleOf(newest); err != nil {
				return err
			}
		}
		starts, err := tx.CountBundleStarts(newest.Hash)
		age := clock.Since(instant(newest.NotBefore))
		if err != nil {
			return err
		}
		worn, err := tx.Worn()
		usable = age < prekeyLife && age > -prekeyLife && starts < fullBundle && !worn
		return err
	})
	switch {
	case err != nil:
		return err
	case !usable:
		return c.rotatePrekey(ctx)
	case unpublished != nil:
		return c.publish(ctx, unpublished)
	default:
		return nil
	}
}

// rotatePrekey makes a new prekey, stores it, and publishes its bundle. Older
// private halves stay until their retention ends: envelopes may be on the way.
func (c *Client) rotatePrekey(ctx context.Context) error {
	prekey, err := newPrekey(c.me, c.entropy, clock.Now())
	if err != nil {
		return err
	}
	if err := c.update(ctx, func(tx *localdb.Tx) error {
		worn, err := tx.Worn()
		if err == nil && worn {
			err = tx.PutGivingUp(true)
		}
		return errors.Join(err, putPrekey(tx, prekey), tx.ClearWorn())
	}); err != nil {
		return err
	}
	return c.publish(ctx, prekey.Bundle())
}

// RotatePrekeys makes new prekeys at once, for a user who suspects that somebody
// has had this device's. The earlier ones are given up, and erased at the time
// that it returns, by whatever runs then. Error: ErrOffline (it is done at the
// next connection).
func (c *Client) RotatePrekeys(ctx context.Context) (erased time.Time, err error) {
	if err := c.Belongs(ctx); err != nil {
		return erased, err
	}
	if err := c.update(ctx, (*localdb.Tx).MarkWorn); err != nil {
		return erased, err
	}
	if err := c.ProveRemoval(ctx, c.ensurePrekey(ctx)); err != nil {
		return erased, err
	}
	return clock.Now().Add(givenUpLife), nil
}

func newPrekey(me *pq3.Identity, entropy pq3.Entropy, now time.Time) (*pq3.Prekey, error) {
	return pq3.NewPrekey(me, account.PQ3A, now, now.Add(pq3.BundleLife), entropy)
}

// putPrekey stores a new prekey. What was marshalled for it does not outlive
// the call.
func putPrekey(tx *localdb.Tx, prekey *pq3.Prekey) error {
	private, bundle := prekey.Marshal(), prekey.Bundle()
	defer secret.Wipe(private)
	return tx.PutPrekey(localdb.Prekey{
		Hash: prekey.Hash(), Suite: account.PQ3A, Private: private,
		NotBefore: bundle.NotBefore, NotAfter: bundle.NotAfter,
	})
}

// bundleOf is the public half of a stored prekey, inside the transaction that
// read it.
func bundleOf(row localdb.Prekey) (*account.Bundle, error) {
	prekey, err := pq3.ParsePrekey(row.Private)
	if err != nil {
		return nil, err
	}
	return prekey.Bundle(), nil
}

func (c *Client) publish(ctx context.Context, bundle *account.Bundle) error {
	if err := c.server.PublishBundle(ctx, bundle.Marshal()); err != nil {
		return remote(err)
	}
	return c.update(ctx, func(tx *localdb.Tx) error {
		givingUp, err := tx.GivingUp()
		if err == nil && givingUp {
			err = errors.Join(tx.GiveUpPrekeys(bundle.Hash(), millis(clock.Now().Add(givenUpLife))), tx.PutGivingUp(false))
		}
		return errors.Join(err, tx.MarkPublished(bundle.Hash()))
	})
}

// prune erases what has outlived its use: prekeys, superseded sessions,
// messages that waited in vain, and old ids.
func (c *Client) prune(ctx context.Context) error {
	return c.update(ctx, func(tx *localdb.Tx) error {
		before := func(life time.Duration) uint64 { return millis(clock.Now().Add(-life)) }
		if _, err := tx.DeletePrekeys(before(pq3.PrekeyRetention)); err != nil {
			return err
		}
		if _, err := tx.EraseGivenUp(millis(clock.Now())); err != nil {
			return err
		}
		if _, err := tx.DeleteSuperseded(before(pq3.SupersededLife)); err != nil {
			return err
		}
		if _, err := tx.ForgetEnvelopes(before(envelopeLife)); err != nil {
			return err
		}
		if _, err := tx.DeleteOutgoingBefore(before(outgoingLife)); err != nil {
			return err
		}
		if _, err := tx.DeleteOwedBefore(before(outgoingLife)); err != nil {
			return err
		}
		lost, err := tx.DeleteWaitingBefore(before(waitingLife))
		if err != nil || len(lost) == 0 {
			return err
		}
		c.duties.madeRoom()
		return notify(tx, fmt.Sprintf("%d messages could not be read: what they needed did not arrive within 14 days", len(lost)))
	})
}

// startAfresh erases sessions whose stored state may be older than what was
// sent under it. New ones take their place at the next message either way.
func (c *Client) startAfresh(ctx context.Context) error {
	return c.update(ctx, func(tx *localdb.Tx) error {
		rows, err := tx.AllSessions()
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			if err := tx.DeleteSession(row.Device, row.ID); err != nil {
				return err
			}
		}
		if err := tx.MarkWorn(); err != nil { // whoever had the copy may have its prekeys
			return err
		}
		return notify(tx, "this profile was put back from a copy, so every session starts afresh")
	})
}
