package client

import (
	"context"

	"github.com/posthorn/posthorn/account"
)

// Find reports whether an account with this name exists and proves itself. It
// keeps nothing. Errors: ErrUnknownName, ErrOffline (only for names this
// profile does not know), ErrChangedAccount, ErrRoster.
func (c *Client) Find(ctx context.Context, name account.Name) error {
	_, err := c.findByName(ctx, name)
	return err
}
