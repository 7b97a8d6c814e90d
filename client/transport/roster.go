package transport

import (
	"context"
	"time"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// UpdateRoster makes a statement the newest one of its account, with a bundle
// for each device that it adds. It needs no token, and may be repeated until it
// succeeds. Errors: ErrRosterChanged (another statement came first), ErrHeld,
// ErrRosterFull, ErrDenied, ErrRefused.
func (c *Client) UpdateRoster(ctx context.Context, statement []byte, bundles [][]byte) error {
	_, err := call(ctx, c.directory.UpdateRoster, &posthornv1.UpdateRosterRequest{Statement: statement, Bundles: bundles})
	return err
}

// HoldAccount keeps devices from changing the roster, until the time that it
// returns. Error: ErrRefused for a hold that the server does not accept.
func (c *Client) HoldAccount(ctx context.Context, hold []byte) (time.Time, error) {
	answer, err := call(ctx, c.directory.HoldAccount, &posthornv1.HoldAccountRequest{Hold: hold})
	return time.UnixMilli(int64(answer.GetUntil())), err
}
