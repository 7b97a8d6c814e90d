package client

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/pairing"
)

// maxPinned is how many names are handed over at most; as many as fit.
const maxPinned = 256

// logPins is what the next device of this account is told of the log, so that
// the server cannot show it another one. Empty: this device knows no log.
func (c *Client) logPins(ctx context.Context) (handed []byte, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) error {
		row, err := tx.Log()
		if exists, err := found(err); err != nil || !exists {
			return err
		}
		names, err := tx.LogNames(maxPinned)
		if err == nil {
			handed, err = packPins(row, names, pairing.MaxExtra)
		}
		return err
	})
	return handed, err
}

// packPins encodes what is known of the log in at most so many bytes. The names
// come with the most useful first; those that do not fit are left out.
func packPins(row localdb.Log, names []localdb.LogName, room int) ([]byte, error) {
	policy, err := kt.ParsePolicy(row.Policy)
	if err != nil {
		return nil, errors.Join(localdb.ErrCorrupt, err)
	}
	pins := kt.Pins{Policy: policy.Hash()}
	if pins.Head, err = headOf(row); err != nil {
		return nil, err
	}
	room -= len(pins.Marshal())
	for _, n := range names {
		pinned := kt.PinnedName{Name: n.Name, Label: kt.Label{Version: n.Version, Value: n.Value}}
		if room -= pinned.Size(); room < 0 {
			break
		}
		if n.Name != ownLabel { // the next device looks at every version of the own name by itself
			pins.Names = append(pins.Names, pinned)
		}
	}
	slices.SortFunc(pins.Names, func(a, b kt.PinnedName) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return pins.Marshal(), nil
}

// askedFirst is the first look-up of a device that comes onto an account: with
// what the device that let it in has told it of the log, or with none of that as
// any first contact. The proof's names are to be stored with it.
func (q *inquirer) askedFirst(ctx context.Context, name account.Name, handed []byte) (transport.Record, *proof, error) {
	if len(handed) == 0 {
		return q.firstMet(ctx, func() (transport.Record, *proof, error) { return q.provenByName(ctx, name) })
	}
	pins, err := kt.ParsePins(handed)
	if err != nil {
		return transport.Record{}, nil, errors.Join(localdb.ErrCorrupt, err)
	}
	if err := q.watch.begin(ctx); err != nil {
		return transport.Record{}, nil, err
	}
	defer q.watch.end()
	l, err := q.pinnedLog(ctx, pins)
	if err != nil {
		return transport.Record{}, nil, err
	}
	record, p, err := q.asks(ctx, l, name, pinnedLabel(pins, name))
	if err != nil {
		return record, nil, err
	}
	p.handed = handedNames(pins, name)
	return record, p, nil
}

// firstMet runs a look-up by a device that is not on its account yet. A log that
// it meets by that, and whose first answer it refuses, is not kept: another
// attempt is a first contact again.
func (q *inquirer) firstMet(ctx context.Context, ask func() (transport.Record, *proof, error)) (transport.Record, *proof, error) {
	before, err := q.ledger(ctx)
	if err != nil {
		return transport.Record{}, nil, err
	}
	record, p, err := ask()
	if before == nil && errors.Is(err, ErrTransparency) {
		err = errors.Join(err, q.update(ctx, (*localdb.Tx).ForgetLog))
	}
	return record, p, err
}

// foundRecoverable looks for the account that has a recovery key, and checks the
// answer against the log. Errors as those of provenByName.
func (q *inquirer) foundRecoverable(ctx context.Context, name account.Name, recovery *account.SigningKey) (transport.Record, *proof, error) {
	if err := q.watch.begin(ctx); err != nil {
		return transport.Record{}, nil, err
	}
	defer q.watch.end()
	return q.askedBare(ctx, name, func(known *transport.Known) (transport.Record, error) {
		return q.server.FindRecoverable(ctx, name, recovery, known)
	})
}

// askedBare is askedByName by a question that needs no token. The caller has the
// turn.
func (q *inquirer) askedBare(ctx context.Context, name account.Name, ask func(*transport.Known) (transport.Record, error)) (transport.Record, *proof, error) {
	l, known, err := q.knows(ctx, name)
	if err != nil {
		return transport.Record{}, nil, err
	}
	if l == nil {
		record, err := ask(nil)
		return record, nil, err
	}
	record, err := ask(l.asked(known))
	if err != nil {
		return transport.Record{}, nil, err
	}
	p, err := q.proves(ctx, l, name, record, known)
	return record, p, err
}

// pinnedLog is the log that was handed over. The server gives its policy, which
// the hash binds; what it says of its head is not looked at.
func (q *inquirer) pinnedLog(ctx context.Context, pins *kt.Pins) (*ledger, error) {
	served, err := q.server.LogHead(ctx, 0)
	if errors.Is(err, transport.ErrNoLog) {
		return nil, &LogError{Err: reject.New("V-281", ErrOtherLog, "it shows none")}
	}
	if err != nil {
		return nil, err
	}
	first, err := policyOf(served)
	if err != nil {
		return nil, &LogError{Err: err}
	}
	policy, err := q.namedPolicy(ctx, first, served, pins.Policy)
	if err == nil {
		err = policy.CheckHead(pins.Head)
	}
	if _, refused := errors.AsType[*reject.Error](err); refused {
		return nil, &LogError{Err: err}
	}
	if err != nil {
		return nil, err
	}
	return &ledger{Log: localdb.Log{
		Policy: policy.Marshal(), Size: pins.Head.Size, Root: pins.Head.Root, Note: pins.Head.Note(policy.Origin()),
	}, policy: policy}, nil
}

func pinnedLabel(pins *kt.Pins, name account.Name) *kt.Label {
	for _, n := range pins.Names {
		if n.Name == name {
			return &n.Label
		}
	}
	return nil
}

// handedNames are the rows of the handed-over names but one, which has a proof
// of its own.
func handedNames(pins *kt.Pins, but account.Name) (rows []localdb.LogName) {
	now := millis(clock.Now())
	for _, n := range pins.Names {
		if n.Name != but {
			rows = append(rows, localdb.LogName{Name: n.Name, Version: n.Label.Version, Value: n.Label.Value, CheckedAt: now})
		}
	}
	return rows
}
