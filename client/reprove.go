package client

import (
	"context"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/kt"
)

// reprove looks accounts up again whose device list the log has not proved for a
// day, before anything leaves for them: a server that takes messages and is out
// of reach for look-ups could keep a removed device in use for ever. What is for
// an account that cannot be proved now stays, as it does when the server finds a
// list stale. again says that something changed, and that the rows are to be
// read anew.
func (c *Client) reprove(ctx context.Context, done renewal, stuck *unrenewed, rows []localdb.Outgoing, declined map[int64]bool) (again bool, err error) {
	for _, row := range rows {
		id := row.Account
		if !done[id] {
			old, err := c.provedLongAgo(ctx, id)
			if err != nil {
				return false, err
			}
			if !old {
				continue
			}
			done[id], again = true, true
			if _, err := c.findByID(ctx, id, true); err != nil {
				if ctx.Err() != nil {
					return false, err
				}
				stuck.why[id] = err
			}
		}
		if stuck.why[id] != nil {
			declined[row.Seq], again = true, true
		}
	}
	if !again {
		return false, nil
	}
	return true, c.payOwed(ctx)
}

// provedLongAgo reports whether the log, if there is one, proved the list of an
// account more than a day ago, or never.
func (c *Client) provedLongAgo(ctx context.Context, id account.ID) (bool, error) {
	l, err := c.ledger(ctx)
	if err != nil || l == nil {
		return false, err
	}
	p, err := c.knownByID(ctx, id)
	if err != nil || !p.known {
		return false, err
	}
	v, err := c.LogOf(ctx, p.row.Name)
	if err != nil {
		return false, err
	}
	return clock.Now().Sub(v.CheckedAt).Abs() > kt.MaxAge, nil
}
