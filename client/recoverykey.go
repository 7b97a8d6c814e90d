package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/recovery"
)

// The sentinels of the recovery key.
var (
	// ErrRecoverySet: the account has a recovery key already.
	ErrRecoverySet = errors.New("your account has a recovery key already, nothing was changed")
	// ErrNoRecovery: the account has no recovery key.
	ErrNoRecovery = errors.New("your account has no recovery key, nothing was changed")
	// ErrOtherPhrase: the phrase makes another key than the account's.
	ErrOtherPhrase = errors.New("this phrase is not that of your account's recovery key, nothing was changed")
	// ErrHold: the server does not take the hold.
	ErrHold = errors.New("the server did not accept the hold, nothing was changed")
)

// NewPhrase draws the secret of a recovery phrase. Wipe it after use.
func (c *Client) NewPhrase() secret.Key { return recovery.Draw(c.entropy.Read) }

// Recoverable reports whether the account has a recovery key, as far as is known
// here.
func (c *Client) Recoverable(ctx context.Context) (bool, error) {
	me, err := c.knownByID(ctx, c.profile.Account)
	return err == nil && me.roster.Recovery() != nil, err
}

// CheckRecovery tells beforehand whether a recovery key could be set or, with
// the phrase of the present one, replaced or cleared. Errors: ErrRecoverySet,
// ErrNoRecovery, ErrOtherPhrase, ErrOffline.
func (c *Client) CheckRecovery(ctx context.Context, present *secret.Key) error {
	roster, err := c.newestRoster(ctx)
	if err != nil {
		return err
	}
	_, err = recoveryAuthor(roster, present)
	return err
}

// recoveryAuthor is the key of a phrase if it is the roster's. Without a phrase
// the roster must have none.
func recoveryAuthor(r *account.Roster, present *secret.Key) (account.Author, error) {
	if present == nil {
		if r.Recovery() != nil {
			return account.Author{}, ErrRecoverySet
		}
		return account.Author{}, nil
	}
	if r.Recovery() == nil {
		return account.Author{}, ErrNoRecovery
	}
	key, err := recovery.Key(present)
	if err == nil && !key.Public().Equal(r.Recovery()) {
		err = ErrOtherPhrase
	}
	return account.Author{Key: key}, err
}

// SetRecovery gives the account a recovery key; present is nil, or the phrase of
// the key that it replaces. Errors as of CheckRecovery and RemoveDevices.
func (c *Client) SetRecovery(ctx context.Context, present, next *secret.Key) error {
	key, err := recovery.Key(next)
	if err != nil {
		return err
	}
	return c.changeRoster(ctx, func(r *account.Roster) (account.Author, []account.Operation, error) {
		author, err := recoveryAuthor(r, present)
		if err != nil || present != nil {
			return author, []account.Operation{account.ReplaceRecovery{Key: key.Public()}}, err
		}
		return c.byDevice(), []account.Operation{account.SetRecovery{Key: key.Public()}}, nil
	})
}

// ClearRecovery takes the recovery key off the account, by its phrase. Errors as
// of CheckRecovery and RemoveDevices.
func (c *Client) ClearRecovery(ctx context.Context, present *secret.Key) error {
	return c.changeRoster(ctx, func(r *account.Roster) (account.Author, []account.Operation, error) {
		author, err := recoveryAuthor(r, present)
		return author, []account.Operation{account.ClearRecovery{}}, err
	})
}

// Hold keeps every device from changing the account for an hour, by the phrase
// of the recovery key, and says until when. Errors: ErrNoRecovery,
// ErrOtherPhrase, ErrHold, ErrOffline.
func (c *Client) Hold(ctx context.Context, present *secret.Key) (until time.Time, err error) {
	roster, err := c.newestRoster(ctx)
	if err != nil {
		return until, err
	}
	author, err := recoveryAuthor(roster, present)
	if err != nil {
		return until, err
	}
	h := account.Hold{Account: roster.ID(), At: millis(clock.Now())}
	c.entropy.Read(h.Nonce[:])
	signed, err := account.SignHold(h, author.Key, c.entropy.SignReader())
	if err != nil {
		return until, err
	}
	until, err = c.server.HoldAccount(ctx, signed)
	if errors.Is(err, transport.ErrRefused) {
		return until, fmt.Errorf("%w (%w)", ErrHold, err)
	}
	if err != nil {
		return until, remote(err)
	}
	return until, nil
}
