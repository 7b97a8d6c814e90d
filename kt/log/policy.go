package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/tessera/client"

	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store"
)

// ErrUnmet: the witnesses that are asked now have not signed what a new policy
// wants.
var ErrUnmet = errors.New("log: the checkpoints of this server do not meet the new policy, so nobody would believe them any more; nothing was changed")

// order asks for a new policy.
type order struct {
	text   []byte
	wanted func() error // an error: whoever gave it has gone
	answer chan error
}

// SetPolicy has clients ask for another policy from now on: witnesses and a quorum
// in the form of C2SP tlog-policy, as the option Witnesses; empty: nobody. The
// witnesses that the server asks must meet the old policy and the new one. It
// returns when the new one is in force and published; the same text again changes
// nothing. On ErrWaiting and ErrClosed it may be in the log already, and will not be
// brought into it any more. Other errors: ErrPolicy, ErrUnmet.
func (l *Log) SetPolicy(ctx context.Context, witnesses []byte) error {
	o := order{l.policyText(witnesses), ctx.Err, make(chan error, 1)}
	select {
	case l.orders <- o:
	case <-l.ended:
		return errors.Join(ErrClosed, l.Ready())
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrWaiting, ctx.Err())
	}
	select {
	case err := <-o.answer:
		return err
	case <-l.ended:
		return errors.Join(ErrClosed, l.Ready())
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrWaiting, ctx.Err())
	}
}

// change writes the entry that names a policy. When another node was faster, that
// is taken over first.
func (l *Log) change(ctx context.Context, o order) error {
	for {
		if l.o.Shared {
			if err := l.follow(ctx); err != nil {
				return err
			}
		}
		if err := l.publish(ctx); err != nil { // of two changes, each is vouched for before the next
			return err
		}
		now := l.ledger.policy()
		if bytes.Equal(now.Text(), o.text) {
			return nil
		}
		next, err := now.Next(o.text)
		if err != nil {
			return errors.Join(ErrPolicy, err)
		}
		if err := errors.Join(l.try(ctx, next), o.wanted()); err != nil {
			return err
		}
		e, err := l.ledger.nextPolicy(next, uint64(l.o.Now().UnixMilli()))
		if err != nil {
			return err
		}
		err = l.write(ctx, l.ledger, e)
		if errors.Is(err, store.ErrVersion) {
			if err := l.follow(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		l.o.Logger.Info("clients ask for another policy of the transparency log from now on", "policy", next.Standing().Number)
		return l.publish(ctx)
	}
}

// try refuses a policy that the checkpoints of this server do not meet. Whom it
// asks may have changed since the last one was signed, so it has an entry signed
// that changes nothing.
func (l *Log) try(ctx context.Context, next *kt.Policy) error {
	err := l.commit(ctx, l.ledger, nil)
	if errors.Is(err, store.ErrVersion) {
		err = l.follow(ctx)
	}
	if err == nil {
		err = l.publish(ctx)
	}
	if err != nil {
		return err
	}
	if _, err := next.Checkpoint(l.served.Load().checkpoint); err != nil {
		return errors.Join(ErrUnmet, err)
	}
	return nil
}

// vouched reports whether a state under a policy that followed another one may be
// published. The checkpoint that vouches for the policy is stored before: one that
// meets the policy of before, too.
func (l *Log) vouched(ctx context.Context, st *state, signed []byte) (bool, error) {
	n := st.last.Standing.Number
	if n == 0 {
		return true, nil
	}
	for {
		bridge, err := l.bridge(ctx, n)
		if err == nil {
			return bridge.size <= st.size, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return false, err
		}
		if _, bad := st.policies[n-1].Checkpoint(signed); bad != nil {
			return false, nil
		}
		h := headRecord{st.size, uint64(l.o.Now().UnixMilli()), signed}
		if _, err := l.o.Records.CAS(ctx, bridgeKey(n), 0, h.marshal()); err != nil && !errors.Is(err, store.ErrVersion) {
			return false, err
		}
	}
}

func (l *Log) bridge(ctx context.Context, policy uint32) (headRecord, error) {
	value, _, err := l.o.Records.Get(ctx, bridgeKey(policy))
	if err != nil {
		return headRecord{}, err
	}
	return parseHead(value)
}

// Change is how a published policy came into force, for somebody who holds a
// checkpoint of a published size. Nil without an error: there is no such policy
// at that size.
func (l *Log) Change(ctx context.Context, number uint32, size uint64) (*kt.Change, error) {
	s, err := l.reach(ctx, size)
	if err != nil {
		return nil, err
	}
	if number == 0 || int64(number) >= int64(len(s.policies)) || size > s.size {
		return nil, nil
	}
	bridge, err := l.bridge(ctx, number)
	if err != nil {
		return nil, errors.Join(ErrRecord, err)
	}
	if size < bridge.size {
		return nil, nil
	}
	c := &kt.Change{Text: s.policies[number].Text(), Place: s.places[number], Checkpoint: bridge.checkpoint}
	raw, _, err := l.o.Records.Get(ctx, epochKey(c.Place))
	if err != nil {
		return nil, errors.Join(ErrRecord, err)
	}
	e, err := parseEpoch(raw)
	if err != nil {
		return nil, err
	}
	if c.Root, err = kt.ParseRoot(e.entry); err != nil {
		return nil, errors.Join(ErrRecord, err)
	}
	return c, l.proves(ctx, c, bridge.size, size)
}

// proves fills in the hashes of a change.
func (l *Log) proves(ctx context.Context, c *kt.Change, bridge, size uint64) error {
	builder, err := client.NewProofBuilder(ctx, bridge, l.tiles.roots.tile)
	if err != nil {
		return err
	}
	inclusion, err := builder.InclusionProof(ctx, c.Place)
	if err != nil {
		return err
	}
	c.Inclusion = hashes(inclusion)
	if bridge == size {
		return nil
	}
	list, err := l.tiles.consistency(ctx, bridge, size)
	c.Consistency = hashes(list)
	return err
}
