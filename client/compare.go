package client

import (
	"context"
	"crypto/subtle"
	"errors"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/verification"
)

// PublicCode is this account's code for a web page or a card: whoever trusts
// where it stands can verify the account with it.
func (c *Client) PublicCode() string { return verification.PublicCode(c.myself()) }

// PairCode is the code that this account and a contact compare when they are
// not online together: 60 digits, the same at both ends; and the contact's
// account id, which it is over. It keeps nothing. Errors: ErrUnknownName,
// ErrOwnName, ErrOffline (for a name never seen), ErrChangedAccount, ErrRoster.
func (c *Client) PairCode(ctx context.Context, name account.Name) (string, account.ID, error) {
	if name == c.profile.Name {
		return "", account.ID{}, ErrOwnName
	}
	p, err := c.findByName(ctx, name)
	if err != nil {
		return "", account.ID{}, err
	}
	return verification.PairCode(c.myself(), personOf(p.row)), p.row.Account, nil
}

// Verify compares a code that the user got from the contact on another way: the
// 60 digits, a public code, or the 8 digits of a live comparison. If it is
// theirs the contact is verified from now on; if not, nothing changes. A code of
// the account that has taken over a changed name makes that one the contact.
// Errors: ErrCodeDiffers, ErrNoComparison, ErrVerificationLocked,
// verification.ErrCode, ErrUnknownName, ErrOwnName, ErrOffline, ErrRoster.
func (c *Client) Verify(ctx context.Context, name account.Name, code string) error {
	return c.thenTell(ctx, c.takeCode(ctx, name, code))
}

func (c *Client) takeCode(ctx context.Context, name account.Name, code string) error {
	if name == c.profile.Name {
		return ErrOwnName
	}
	matches, err := c.matcher(code)
	if err != nil {
		return err
	}
	p, err := c.findByName(ctx, name)
	if errors.Is(err, ErrChangedAccount) {
		return c.verifyChanged(ctx, name, matches)
	}
	if err != nil {
		return err
	}
	if matches == nil {
		return c.verifyLive(ctx, p, code)
	}
	if !matches(p.row) {
		return reject.New("V-253", ErrCodeDiffers, "")
	}
	return c.update(ctx, func(tx *localdb.Tx) error { return errors.Join(verified(tx, p.row), c.tellContact(tx, p.row.Account)) })
}

// matcher reads a code; the function says whether it is that of an account. It
// is nil for a short code, which belongs to a run.
func (c *Client) matcher(code string) (func(localdb.Contact) bool, error) {
	if digits, err := verification.ParsePairCode(code); err == nil {
		return func(row localdb.Contact) bool {
			return same(digits, verification.PairCode(c.myself(), personOf(row)))
		}, nil
	}
	public, err := verification.ParsePublicCode(code)
	if err == nil {
		return func(row localdb.Contact) bool { return same(public, verification.PublicCode(personOf(row))) }, nil
	}
	if _, short := verification.ParseShortCode(code); short == nil {
		return nil, nil
	}
	return nil, err
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// verified makes an account a contact whose code was compared. Who is blocked
// stays blocked.
func verified(tx *localdb.Tx, row localdb.Contact) error {
	now := clock.Now()
	return errors.Join(acquaint(tx, row, now), markVerified(tx, row.Account, millis(now)))
}

// verifyChanged decides by a code which account a changed name belongs to.
func (c *Client) verifyChanged(ctx context.Context, name account.Name, matches func(localdb.Contact) bool) error {
	holder, err := c.contact(ctx, name)
	if err != nil {
		return err
	}
	if matches == nil {
		return ErrChangedAccount
	}
	shown, err := c.present(ctx, name)
	if err != nil {
		return err
	}
	if !matches(shown.row) {
		return reject.New("V-253", ErrCodeDiffers, "neither the account of before nor its code may be used while the server shows another")
	}
	return c.replaceHolder(ctx, holder, shown, millis(clock.Now()))
}
