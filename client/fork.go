package client

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
)

// forked reports whether two different statements of an account with one number
// were in the log. Its row then names itself as the account it has changed to:
// nothing is sent, and nothing further accepted, until the user has reviewed it.
func forked(row localdb.Contact) bool { return row.ChangedTo == row.Account }

// common counts the statements that two chains share, by what they say: the same
// statement may be signed twice.
func common(a, b [][]byte) int {
	for i := range min(len(a), len(b)) {
		one, err := account.ParseStatement(a[i])
		two, err2 := account.ParseStatement(b[i])
		if err != nil || err2 != nil || one.Hash() != two.Hash() {
			return i
		}
	}
	return min(len(a), len(b))
}

// noteFork remembers that the log holds another chain of a contact's statements
// than the one known here, and tells the user once. Only what a log has proved
// counts: without a proof the directory's answer is refused and forgotten, for
// two honest devices may race and one statement be dropped.
//
// Devices that either chain added since the two parted are not believed. One
// that the known chain has removed stays removed.
func (c *Client) noteFork(ctx context.Context, known, found person, seen *kt.Evidence) error {
	refused := reject.New("V-224", ErrForked, "two statements have one number")
	shared := common(known.row.Statements, found.row.Statements)
	base, err := account.ReplayRoster(known.row.Statements[:shared])
	if err != nil {
		return fmt.Errorf("%w: the roster of a contact: %v", localdb.ErrCorrupt, err)
	}
	evidence, err := c.forkEvidence(known, found, shared, seen)
	if err != nil {
		return errors.Join(refused, err)
	}
	return errors.Join(refused, c.update(ctx, func(tx *localdb.Tx) error {
		row, err := tx.Contact(known.row.Account)
		if err != nil || forked(row) {
			return err
		}
		row.ChangedTo = row.Account
		if err := errors.Join(tx.PutContact(row), tx.PutFork(row.Account, shared)); err != nil {
			return err
		}
		for _, device := range known.roster.Devices() {
			if _, before := base.Device(device.ID); before {
				continue
			}
			if err := c.forgetDevice(tx, row.Account, device.ID); err != nil {
				return err
			}
		}
		return notify(tx, fmt.Sprintf("the log holds two different lists of @%s's devices; nothing is sent to them until you have asked them on another channel and run 'posthorn contact accept @%s'%s",
			row.Name, row.Name, evidence))
	}))
}

// forkEvidence writes what shows the fork to anybody, and gives the words that
// say where it is.
func (c *Client) forkEvidence(known, found person, shared int, seen *kt.Evidence) (words string, err error) {
	if seen == nil {
		return "", nil
	}
	e := *seen
	e.Kind, e.Check, e.Shared = kt.KindRoster, "V-224", known.row.Statements[:shared]
	e.Chains = [2][][]byte{known.row.Statements[shared:], found.row.Statements[shared:]}
	if _, err := e.Verify(); err != nil || len(e.Marshal()) > kt.MaxEvidence {
		return "", nil // such as a chain too long for a file
	}
	var kept LogError
	if _, err := c.keepEvidence(&e, &kept); err != nil {
		return "", err
	}
	return fmt.Sprintf(". The evidence is %s; 'posthorn transparency verify FILE' shows it to anybody", kept.Evidence), nil
}

// believed refuses a device that was added after its account's roster forked.
func (c *Client) believed(ctx context.Context, p person, device account.DeviceID) error {
	if !p.known || !forked(p.row) {
		return nil
	}
	shared := 0
	if err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		shared, err = tx.Fork(p.row.Account)
		return err
	}); err != nil {
		return err
	}
	if shared < 1 || shared > min(len(p.row.Statements), math.MaxInt32) {
		return fmt.Errorf("%w: the fork of a contact", localdb.ErrCorrupt)
	}
	base, err := account.ReplayRoster(p.row.Statements[:shared])
	if err != nil {
		return fmt.Errorf("%w: the roster of a contact: %v", localdb.ErrCorrupt, err)
	}
	if _, ok := base.Device(device); !ok {
		return reject.New("V-224", ErrForked, "a device that came after the fork")
	}
	return nil
}

// settleFork takes the chain that the directory shows and the log proves now, as
// the user has decided.
func (c *Client) settleFork(tx *localdb.Tx, holder, shown person) error {
	if err := c.adopt(tx, holder, shown); err != nil {
		return err
	}
	return tx.PutFork(holder.row.Account, 0)
}
