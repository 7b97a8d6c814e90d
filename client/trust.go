package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/verification"
)

// Trust is how far the account behind a contact's name is known to be theirs.
type Trust string

// The three states. Unverified is neutral: nobody has compared a code yet.
const (
	Unverified Trust = "unverified"
	Verified   Trust = "verified"
	// Changed: the directory has shown another account under the name. Nothing
	// is sent until the user has reviewed it.
	Changed Trust = "changed"
)

func trustOf(row localdb.Contact) Trust {
	switch {
	case row.ChangedTo != account.ID{}:
		return Changed
	case row.VerifiedAt != 0:
		return Verified
	default:
		return Unverified
	}
}

// personOf is what is compared of a contact.
func personOf(row localdb.Contact) verification.Person {
	return verification.Person{Name: row.Name, Account: row.Account}
}

// myself is what others compare of this account.
func (c *Client) myself() verification.Person {
	return verification.Person{Name: c.profile.Name, Account: c.profile.Account}
}

// unchanged refuses a name whose account has changed until that was reviewed.
func unchanged(p person) error {
	if p.known && forked(p.row) {
		return reject.New("V-224", ErrForked, "not reviewed yet")
	}
	if p.known && trustOf(p.row) == Changed {
		return reject.New("V-102", ErrChangedAccount, "not reviewed yet")
	}
	return nil
}

// noteChange remembers that the directory has shown another account under a
// contact's name, tells the user once, and gives the error for it.
func (c *Client) noteChange(ctx context.Context, holder localdb.Contact, shown account.ID) error {
	refused := reject.New("V-102", ErrChangedAccount, "a name stays with the account it was first seen with")
	return errors.Join(refused, c.update(ctx, func(tx *localdb.Tx) error {
		row, err := tx.Contact(holder.Account)
		if err != nil || row.ChangedTo == shown {
			return err
		}
		row.ChangedTo = shown
		return errors.Join(tx.PutContact(row), notifyChanged(tx, row.Name))
	}))
}

func notifyChanged(tx *localdb.Tx, name account.Name) error {
	return notify(tx, fmt.Sprintf(
		"the server shows another account as @%s than before; nothing is sent to either until you have compared codes ('posthorn verify @%s') or accepted the new one ('posthorn contact accept @%s')",
		name, name, name))
}

// present is the account that the directory shows under a name now, verified,
// whatever this profile has thought of the name so far.
func (c *Client) present(ctx context.Context, name account.Name) (person, error) {
	record, _, err := c.provenByName(ctx, name)
	if errors.Is(err, transport.ErrNotFound) {
		return person{}, ErrUnknownName
	}
	if err != nil {
		return person{}, remote(err)
	}
	shown, err := verifyRecord(record)
	if err != nil {
		return person{}, err
	}
	if shown.row.Name != name {
		return person{}, reject.New("V-101", ErrRoster, "the directory answered for another name")
	}
	return shown, nil
}

// replaceHolder makes the account that the directory shows now the one of a
// name, as the user has decided. The earlier one keeps its messages and gives up
// the name.
func (c *Client) replaceHolder(ctx context.Context, holder, shown person, verifiedAt uint64) error {
	err := c.update(ctx, func(tx *localdb.Tx) error {
		old, err := tx.Contact(holder.row.Account)
		if err != nil {
			return err
		}
		old.ChangedTo = account.ID{}
		if forked(holder.row) {
			old.VerifiedAt = 0 // what was compared said nothing of the second list
			if err := tx.PutReviewed(old.Account, millis(clock.Now())); err != nil {
				return err
			}
		}
		if old.Account != shown.row.Account {
			old.State, old.VerifiedAt = localdb.Former, 0
		}
		if err := tx.PutContact(old); err != nil {
			return err
		}
		if forked(holder.row) && old.Account == shown.row.Account {
			if err := c.settleFork(tx, holder, shown); err != nil {
				return err
			}
		}
		if err := acquaint(tx, shown.row, clock.Now()); err != nil {
			return err
		}
		return markVerified(tx, shown.row.Account, verifiedAt)
	})
	if err == nil {
		c.rosters.doubt(holder.row.Account)
		c.rosters.doubt(shown.row.Account)
	}
	return err
}

// markVerified notes when a code was compared; zero leaves the contact as it is.
func markVerified(tx *localdb.Tx, id account.ID, at uint64) error {
	if at == 0 {
		return nil
	}
	row, err := tx.Contact(id)
	if err != nil {
		return err
	}
	row.VerifiedAt = at
	return tx.PutContact(row)
}

// acceptChanged is AcceptContact for a name whose account has changed: the
// account that the directory shows now takes the place of the earlier one,
// unverified.
func (c *Client) acceptChanged(ctx context.Context, holder person) error {
	shown, err := c.present(ctx, holder.row.Name)
	if err != nil {
		return err
	}
	return c.replaceHolder(ctx, holder, shown, 0)
}

// BlockContact drops everything that somebody sends from now on, without their
// noticing; unblocking makes them a contact again. Error: ErrUnknownName.
func (c *Client) BlockContact(ctx context.Context, name account.Name, blocked bool) error {
	if name == c.profile.Name {
		return ErrOwnName
	}
	p, err := c.findByName(ctx, name)
	if err != nil && (!p.known || !errors.Is(err, ErrChangedAccount)) {
		return err
	}
	return c.thenTell(ctx, c.update(ctx, func(tx *localdb.Tx) error {
		row, err := meet(tx, p.row, clock.Now())
		if err != nil {
			return err
		}
		switch {
		case blocked:
			row = decided(row, localdb.Blocked, clock.Now())
		case row.State == localdb.Blocked:
			row = decided(row, localdb.Friend, clock.Now())
		}
		return errors.Join(tx.PutContact(row), c.tellContact(tx, row.Account))
	}))
}

// logHead is this device's view of the transparency log, for the peer of a
// comparison; nothing while there is none.
func logHead(tx *localdb.Tx) ([]byte, error) {
	row, err := tx.Log()
	if exists, err := found(err); err != nil || !exists {
		return nil, err
	}
	head, err := headOf(row)
	return head.Marshal(), err
}
