package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
)

// The sentinels of changing the own account.
var (
	// ErrAmbiguousDevice: several ids begin like this.
	ErrAmbiguousDevice = errors.New("several of your devices have ids that begin like this, nothing was changed")
	// ErrLastDevice: an account keeps one device.
	ErrLastDevice = errors.New("this is the only device of your account, nothing was changed")
	// ErrRosterFull: the server keeps no more statements.
	ErrRosterFull = errors.New("the account's devices were changed too often for this server, nothing was changed")
	// ErrChangeWaits: the server went out of reach while it was told of a change.
	ErrChangeWaits = errors.New("the server went out of reach, so it is not known whether the change was made; the next command finds out and finishes it")
)

// change is what is to be done to the own roster, worked out on the newest one.
type change func(*account.Roster) (account.Author, []account.Operation, error)

// changeRoster makes a change with this device's signature or the recovery
// key's. The statement is stored before it is sent, so that a lost answer is
// cleared up later; a lost race is run once more. When it returns nil the server
// has accepted the change and it is stored here.
func (c *Client) changeRoster(ctx context.Context, work change) error {
	if err := c.settleChange(ctx); err != nil {
		return err
	}
	var err error
	for range 2 {
		if err = c.tryChange(ctx, work); !errors.Is(err, ErrDevicesChanged) {
			return err
		}
	}
	return err
}

func (c *Client) tryChange(ctx context.Context, work change) error {
	roster, err := c.newestRoster(ctx)
	if err != nil {
		return err
	}
	author, ops, err := work(roster)
	if err != nil {
		return err
	}
	statement, err := roster.Propose(author, nil, millis(clock.Now()), c.entropy.SignReader(), ops...)
	if err != nil {
		return err
	}
	raw := statement.Marshal()
	if err := c.update(ctx, func(tx *localdb.Tx) error { return tx.PutChange(raw) }); err != nil {
		return err
	}
	return c.sendChange(ctx, raw)
}

// sendChange gives the server the stored statement, and notes what came of it.
func (c *Client) sendChange(ctx context.Context, raw []byte) error {
	err := c.server.UpdateRoster(ctx, raw, nil)
	if err == nil {
		return c.changed(ctx, raw)
	}
	verdict, final := changeRefused(err)
	if !final {
		return verdict
	}
	return errors.Join(verdict, c.update(ctx, (*localdb.Tx).DeleteChange))
}

// changeRefused says what a failure means, and whether it is the last word.
func changeRefused(err error) (verdict error, final bool) {
	for _, pair := range [][2]error{
		{transport.ErrRosterChanged, ErrDevicesChanged}, {transport.ErrHeld, ErrHeld}, {transport.ErrRosterFull, ErrRosterFull},
	} {
		if errors.Is(err, pair[0]) {
			return fmt.Errorf("%w (%w)", pair[1], err), true
		}
	}
	if errors.Is(err, transport.ErrRefused) || errors.Is(err, transport.ErrDenied) || errors.Is(err, transport.ErrNotFound) {
		return remote(err), true
	}
	return fmt.Errorf("%w (%w)", ErrChangeWaits, remote(err)), false
}

// changed takes over a statement that the server has stored.
func (c *Client) changed(ctx context.Context, raw []byte) error {
	me, err := c.knownByID(ctx, c.profile.Account)
	if err != nil {
		return err
	}
	statement, err := account.ParseStatement(raw)
	if err != nil {
		return err
	}
	roster, err := me.roster.Apply(statement)
	if err != nil { // it is there already, or others were stored between
		if _, err := c.newestRoster(ctx); err != nil {
			return err
		}
		return c.update(ctx, (*localdb.Tx).DeleteChange)
	}
	now := me
	now.roster, now.row.Statements = roster, roster.Statements()
	if err := c.update(ctx, func(tx *localdb.Tx) error { return errors.Join(c.adopt(tx, me, now), tx.DeleteChange()) }); err != nil {
		return err
	}
	c.rosters.confirm(now, clock.Now())
	if err := c.ensurePrekey(ctx); err != nil && !passing(err) {
		return err
	}
	return nil
}

// settleChange finds out what came of a change whose answer was lost: the server
// takes the same statement again, whether or not it had it.
func (c *Client) settleChange(ctx context.Context) error {
	var raw []byte
	err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		raw, err = tx.Change()
		return err
	})
	if err != nil || raw == nil {
		return err
	}
	err = c.sendChange(ctx, raw)
	if _, waits := errors.AsType[*transport.Error](err); err == nil || errors.Is(err, ErrChangeWaits) || !waits {
		return err
	}
	return c.update(ctx, func(tx *localdb.Tx) error {
		return notify(tx, "a change of your devices that was begun earlier was not made; run the command again if you still want it")
	})
}

// newestRoster is the own roster as the directory has it now, verified and
// stored.
func (c *Client) newestRoster(ctx context.Context) (*account.Roster, error) {
	me, err := c.findByID(ctx, c.profile.Account, true)
	return me.roster, c.ProveRemoval(ctx, err)
}

// byDevice is the author of a change that needs no recovery key.
func (c *Client) byDevice() account.Author {
	return account.Author{Device: &c.profile.Device, Key: c.key}
}
