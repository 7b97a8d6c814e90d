package client

import (
	"context"
	"errors"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/reject"
)

// unshown is ErrRemovalUnproven once the server was asked to show the removal,
// with why that proves nothing.
type unshown struct{ why error }

func (e *unshown) Error() string   { return ErrRemovalUnproven.Error() + " (" + e.why.Error() + ")" }
func (e *unshown) Unwrap() []error { return []error{ErrRemovalUnproven, e.why} }

// ProveRemoval goes after an error by which the server says that this device was
// removed from its account, ErrRemovalUnproven. A word costs a lying server
// nothing, so the server has to show the account's roster with the removal on
// it, and its log that roster. Then what this device could send or open messages
// with is erased, once and for good, what was received stays readable, and the
// error is ErrRemoved. Without a proof nothing is erased and the error stays.
// Any other error comes back as it is. Run, Sync, Send and changes of the account
// do this by themselves.
func (c *Client) ProveRemoval(ctx context.Context, err error) error {
	if !errors.Is(err, ErrRemovalUnproven) {
		return err
	}
	if _, asked := errors.AsType[*unshown](err); asked {
		return err
	}
	if gone := c.Belongs(ctx); gone != nil {
		return gone
	}
	why := c.learnRemoval(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case why == nil:
		return ErrRemoved
	case passing(why) && !errors.Is(why, ErrTransparency), errors.Is(why, ErrServer):
		why = errors.New(why.Error()) // whoever is in reach for the word is not out of reach
	}
	return &unshown{why}
}

// learnRemoval asks for the roster that this device was removed from, and takes
// it in if it proves that.
func (c *Client) learnRemoval(ctx context.Context) error {
	record, err := c.shownRemoval(ctx)
	if errors.Is(err, transport.ErrUnauthenticated) || errors.Is(err, transport.ErrRefused) {
		return reject.New("V-291", ErrRemovalUnproven, "it shows no roster")
	}
	if err != nil {
		return remote(err)
	}
	shown, err := verifyRecord(record)
	if err != nil {
		return err
	}
	known, err := c.knownByID(ctx, c.profile.Account)
	if err != nil {
		return err
	}
	newest, err := extend(known, shown)
	if err != nil {
		return err
	}
	if _, gone := newest.roster.Removed(c.profile.Device); !gone {
		return reject.New("V-292", ErrRemovalUnproven, "this device is on the roster")
	}
	return c.update(ctx, func(tx *localdb.Tx) error { return leaveAccount(tx, newest) })
}

// shownRemoval is what the server shows, as its log proves it.
func (c *Client) shownRemoval(ctx context.Context) (transport.Record, error) {
	if err := c.watch.begin(ctx); err != nil {
		return transport.Record{}, err
	}
	defer c.watch.end()
	name := c.profile.Name
	record, _, err := c.stored(ctx)(c.askedBare(ctx, name, func(known *transport.Known) (transport.Record, error) {
		return c.server.FindRemoval(ctx, name, known)
	}))
	return record, err
}

// leaveAccount stores the roster that this device is not on any more, and erases
// all that it could send or open messages with.
func leaveAccount(tx *localdb.Tx, newest person) error {
	row, err := tx.Profile()
	if err != nil {
		return err
	}
	if len(newest.row.Statements) > len(row.Statements) {
		row.Statements = newest.row.Statements
		if err := tx.PutProfile(row); err != nil {
			return err
		}
	}
	return tx.MarkRemoved()
}

// Removed reports whether this device is known to be off its account. What it
// has received stays readable; it sends and receives nothing more.
func (c *Client) Removed(ctx context.Context) (removed bool, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) (err error) {
		removed, err = tx.Removed()
		return err
	})
	return removed, err
}

// Belongs is ErrRemoved for a device that is known to be off its account.
func (c *Client) Belongs(ctx context.Context) error {
	removed, err := c.Removed(ctx)
	if err == nil && removed {
		err = reject.New("V-293", ErrRemoved, "it was shown earlier")
	}
	return err
}

// turnedAway reports whether the server does not let this device in.
func turnedAway(err error) bool {
	return errors.Is(err, ErrRemoved) || errors.Is(err, ErrRemovalUnproven) || errors.Is(err, ErrCloned) || errors.Is(err, ErrCopyUnproven)
}
