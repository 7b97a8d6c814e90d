package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
)

// maxChanges bounds the changes that are fetched at one time, in bytes: more than
// those of any log whose policies name a few witnesses.
const maxChanges = 16 << 20

// followed is the log under the policy that its newest root names. Each policy
// from the known one on has to be proved and vouched for by the one before; until
// the caller stores what it has verified under the new policy, the known one
// stays. A root that names no later policy changes nothing here: the check of the
// answer finds whether it is the known one. The caller has the turn.
func (q *inquirer) followed(ctx context.Context, l *ledger, newest []byte, root kt.Root) (*ledger, error) {
	if root.Standing.Number <= l.policy.Standing().Number {
		return l, nil
	}
	size, _, err := l.policy.Signed(newest)
	if err != nil {
		return l, nil // not the log's: the check of the answer says so
	}
	changes, policy, err := q.follows(ctx, l, newest, root, size)
	if errors.Is(err, kt.ErrFork) { // a proof may be damaged on its way, and a fork has none
		changes, policy, err = q.follows(ctx, l, newest, root, size)
	}
	if err != nil && len(changes) > 0 {
		return nil, q.lied(ctx, l, err, &kt.Evidence{Kind: kt.KindPolicy, Changes: changes, Notes: [2][]byte{newest}})
	}
	if err != nil {
		return nil, err
	}
	next := &ledger{Log: l.Log, policy: policy, fresh: policy}
	next.Policy = policy.Marshal()
	return next, nil
}

// follows asks for what leads to the policy that a root names, and follows it.
// With a refusal of what was given, it gives that.
func (q *inquirer) follows(ctx context.Context, l *ledger, newest []byte, root kt.Root, size uint64) (changes []*kt.Change, policy *kt.Policy, err error) {
	known := l.policy.Standing().Number
	if root.Standing.Number > kt.MaxPolicies {
		return nil, nil, &LogError{Err: reject.New("V-282", kt.ErrChange, "the newest root names a policy with an impossible number")}
	}
	room := maxChanges
	for n := known; n < root.Standing.Number; n++ {
		c, err := q.logPolicy(ctx, n+1, size)
		if err != nil {
			return nil, nil, err
		}
		if room -= len(c.Text) + len(c.Checkpoint); room < 0 {
			return nil, nil, &LogError{Err: reject.New("V-282", kt.ErrChange, "the policies are longer than those of any log")}
		}
		changes = append(changes, c)
	}
	policy, err = l.policy.Follow(changes, newest)
	return changes, policy, err
}

// logPolicy asks for one policy. That the server does not give what its log names
// is a *LogError.
func (q *inquirer) logPolicy(ctx context.Context, number uint32, size uint64) (*kt.Change, error) {
	raw, err := q.server.LogPolicy(ctx, number, size)
	if errors.Is(err, transport.ErrRefused) || errors.Is(err, transport.ErrNotFound) || errors.Is(err, transport.ErrNoLog) {
		return nil, &LogError{Err: reject.New("V-282", kt.ErrChange, fmt.Sprintf("the server does not show policy %d, which the newest root comes after", number))}
	}
	if err != nil {
		return nil, err
	}
	c, err := kt.ParseChange(raw)
	if err != nil {
		return nil, &LogError{Err: err}
	}
	return c, nil
}

// namedPolicy is the policy of a hash that another device has handed over, which
// may have followed the one that the log began with. The hash vouches for it and
// for all before it, so nothing else is proved here.
func (q *inquirer) namedPolicy(ctx context.Context, first *kt.Policy, served transport.LogHead, hash [32]byte) (*kt.Policy, error) {
	another := reject.New("V-281", ErrOtherLog, "its policy is another")
	policy := first
	root, err := kt.ParseRoot(served.Root)
	size, _, unsigned := first.Signed(served.Checkpoint)
	for n := uint32(0); policy.Hash() != hash; n++ {
		if err != nil || unsigned != nil || n == min(root.Standing.Number, kt.MaxPolicies) {
			return nil, another
		}
		c, err := q.logPolicy(ctx, n+1, size)
		if errors.Is(err, ErrTransparency) {
			return nil, another
		}
		if err != nil {
			return nil, err
		}
		if policy, err = policy.Next(c.Text); err != nil {
			return nil, another
		}
	}
	return policy, nil
}

// notifyPolicy tells the user that a log asks for other signatures than before.
func notifyPolicy(tx *localdb.Tx, policy *kt.Policy) error {
	by := "no witnesses"
	if names := policy.Witnesses(); len(names) > 0 {
		by = "the witnesses " + strings.Join(names, ", ")
	}
	return notify(tx, fmt.Sprintf("the server's key log has a new policy, number %d, with %s; the policy before vouches for it ('posthorn transparency status' shows it)", policy.Standing().Number, by))
}
