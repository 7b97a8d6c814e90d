package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	tlog "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store"
)

// publish waits until a checkpoint over everything logged is published.
func (l *Log) publish(ctx context.Context) error {
	want := l.behind[len(l.behind)-1].size
	complain := time.Now().Add(witnessPatience)
	for {
		if err := l.adopt(ctx); err != nil {
			return err
		}
		if s := l.served.Load(); s != nil && s.size >= want {
			return nil
		}
		if time.Now().After(complain) {
			complain = complain.Add(time.Minute)
			l.o.Logger.Warn("the transparency log waits for signatures of its witnesses; nothing new is published until the policy is met")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case answer := <-l.ask:
			if err := l.lookFor(ctx, answer); err != nil {
				return err
			}
		case <-time.After(lookEvery):
		}
	}
}

// signAgain has a checkpoint signed anew that was signed before this start and
// cannot be published: other witnesses may be asked now, and Tessera by itself
// would ask them at the next heartbeat.
func (l *Log) signAgain(ctx context.Context) error {
	signed, err := l.tiles.roots.signed(ctx)
	if err != nil {
		return nil // there is none
	}
	size, _, err := l.policy.Signed(signed)
	st := l.stateOf(size)
	if err != nil || st == nil {
		return nil
	}
	vouched, err := l.vouched(ctx, st, signed)
	if err != nil {
		return err
	}
	if _, unmet := st.policy().Checkpoint(signed); vouched && unmet == nil {
		return nil
	}
	return l.tiles.roots.unsign()
}

// witnessPatience is how long a checkpoint may take before the operator is told.
const witnessPatience = 3 * time.Second

// adopt serves the newest checkpoint that this node or another has published.
// One of this node is stored first, so that the others know it before a client.
func (l *Log) adopt(ctx context.Context) error {
	signed, err := l.tiles.roots.signed(ctx)
	news := err == nil && string(signed) != l.offered
	if news {
		if err := l.offer(ctx, signed); err != nil {
			return err
		}
		l.offered = string(signed)
	}
	if !news && (!l.o.Shared || time.Since(l.asked) < pollEvery) {
		return nil
	}
	l.asked = time.Now()
	h, err := readHead(ctx, l.o.Records)
	if err != nil || h.size == 0 {
		return err
	}
	if l.o.Shared && h.size > l.behind[len(l.behind)-1].size {
		if err := l.follow(ctx); err != nil {
			return err
		}
	}
	return l.serve(ctx, h)
}

// readHead reads what was published last; size 0: nothing.
func readHead(ctx context.Context, records Records) (headRecord, error) {
	value, _, err := records.Get(ctx, headKey)
	if errors.Is(err, store.ErrNotFound) {
		return headRecord{}, nil
	}
	if err != nil {
		return headRecord{}, err
	}
	return parseHead(value)
}

// offer stores a checkpoint that Tessera has published in the folder, if it
// meets the policy and is newer than the stored one. What was signed without
// witnesses, while the folder was made, does not.
func (l *Log) offer(ctx context.Context, signed []byte) error {
	size, root, err := l.policy.Signed(signed)
	st := l.stateOf(size)
	if err != nil || size < 2 || st == nil {
		return nil
	}
	if st.rootsRoot != root {
		return errOtherTiles
	}
	if vouched, err := l.vouched(ctx, st, signed); !vouched || err != nil {
		return err
	}
	c, err := st.policy().Checkpoint(signed)
	if err != nil {
		return nil
	}
	for {
		value, version, err := l.o.Records.Get(ctx, headKey)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil {
			h, err := parseHead(value)
			if err != nil || !l.newer(c, st.policy(), h) {
				return err
			}
		}
		h := headRecord{c.Size, uint64(l.o.Now().UnixMilli()), signed}
		if _, err = l.o.Records.CAS(ctx, headKey, version, h.marshal()); !errors.Is(err, store.ErrVersion) {
			return err
		}
	}
}

// stateOf is the state of a size that is not older than the served one, or nil. A
// checkpoint with another root than that is over tiles which are not those of the
// store, and to publish it would be a fork.
func (l *Log) stateOf(size uint64) *state {
	for i := range l.behind {
		if l.behind[i].size == size {
			return &l.behind[i]
		}
	}
	return nil
}

// sameUpdates refuses such a checkpoint of U, which nobody but auditors sees.
func (l *Log) sameUpdates(ctx context.Context) error {
	signed, err := l.tiles.updates.signed(ctx)
	if err != nil || string(signed) == l.seen {
		return nil
	}
	l.seen = string(signed)
	v, err := note.NewVerifier(l.keys.Updates[0].Verifier)
	if err != nil {
		return errKeys
	}
	c, _, _, err := tlog.ParseCheckpoint(signed, v.Name(), v)
	if err != nil || c.Size != l.ledger.updates.End() {
		return nil
	}
	if root := rootOf(l.ledger.updates); !bytes.Equal(c.Hash, root[:]) {
		l.seen = ""
		return errOtherTiles
	}
	return nil
}

// newer reports whether a checkpoint is to replace a published one: it is of a
// greater size, or was signed later, or the other one in a time to come: the
// clock was wrong then, and no device believes such a date.
func (l *Log) newer(c *kt.Checkpoint, by *kt.Policy, than headRecord) bool {
	if c.Size != than.size {
		return c.Size > than.size
	}
	present, err := by.Checkpoint(than.checkpoint)
	return err != nil || c.Newest.After(present.Newest) || present.Newest.After(l.o.Now().Add(Heartbeat))
}

// stands checks what is about to be served as whoever gets it will.
func (l *Log) stands(h headRecord, st state, s *snapshot) error {
	c, err := st.policy().Checkpoint(h.checkpoint)
	if err != nil || c.Root != st.rootsRoot {
		return errors.Join(ErrRecord, err)
	}
	if c.Includes(st.last.Marshal(), st.size-1, s.inclusion) != nil || c.Includes(l.policy.Config().Marshal(), 0, s.first) != nil {
		return errOtherTiles
	}
	return nil
}

// serve takes a published head into use.
func (l *Log) serve(ctx context.Context, h headRecord) error {
	if s := l.served.Load(); s != nil && (h.size < s.size || string(s.checkpoint) == string(h.checkpoint)) {
		return nil
	}
	for i, st := range l.behind {
		if st.size != h.size {
			continue
		}
		s, err := l.snapshot(ctx, st, h)
		if err != nil {
			return err
		}
		if err := l.stands(h, st, s); err != nil {
			return err
		}
		if l.served.Swap(s) == nil {
			close(l.opened)
		}
		l.behind = l.behind[i:]
		return nil
	}
	if newest := l.behind[len(l.behind)-1].size; h.size > newest && !l.o.Shared {
		return fmt.Errorf("%w: the published checkpoint goes beyond the log", ErrRecord)
	}
	return nil
}
