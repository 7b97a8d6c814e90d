package log

import (
	"context"
	"errors"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store"
)

// ledger is where the log stands after some epochs: the map and the edges of
// both trees. One goroutine at a time uses it; the map may be kept by others.
type ledger struct {
	config  kt.Config
	size    uint64 // entries of R
	last    kt.Root
	m       *kt.Map
	updates *compact.Range
	roots   *compact.Range

	policies []*kt.Policy // all so far; the last one is in force
	places   []uint64     // of the first entries of R that name them
}

// state is the part of a ledger that answers are made of.
type state struct {
	size      uint64
	last      kt.Root
	rootsRoot [32]byte
	m         *kt.Map
	policies  []*kt.Policy
	places    []uint64
}

// policy is the one in force.
func (s *state) policy() *kt.Policy { return s.policies[len(s.policies)-1] }

var ranges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// newLedger is before the first entry of a log that begins with this policy.
func newLedger(first *kt.Policy) *ledger {
	return &ledger{
		m: &kt.Map{}, updates: ranges.NewEmptyRange(0), roots: ranges.NewEmptyRange(0), policies: []*kt.Policy{first}, places: []uint64{0},
	}
}

func rootOf(r *compact.Range) (root [32]byte) {
	if r.End() == 0 {
		return [32]byte(rfc6962.DefaultHasher.EmptyRoot())
	}
	h, err := r.GetRootHash(nil)
	if err == nil {
		root = [32]byte(h)
	}
	return root
}

func appendLeaf(r *compact.Range, entry []byte) error {
	return r.Append(rfc6962.DefaultHasher.HashLeaf(entry), nil)
}

// clone is a range that grows without the other one.
func clone(r *compact.Range) *compact.Range {
	c, err := ranges.NewRange(r.Begin(), r.End(), slices.Clone(r.Hashes()))
	if err != nil {
		panic(err) // of its own parts: a fault of this package
	}
	return c
}

func (g *ledger) state() state {
	return state{size: g.size, last: g.last, rootsRoot: rootOf(g.roots), m: g.m, policies: slices.Clip(g.policies), places: slices.Clip(g.places)}
}

func (g *ledger) policy() *kt.Policy { return g.policies[len(g.policies)-1] }

// nextPolicy is the epoch that would put a policy in force, and changes nothing
// of the names.
func (g *ledger) nextPolicy(p *kt.Policy, at uint64) (epochRecord, error) {
	e, err := g.next(nil, at)
	if err != nil {
		return e, err
	}
	root, err := kt.ParseRoot(e.entry)
	root.Standing = p.Standing()
	return epochRecord{entry: root.Marshal(), policy: p.Text()}, err
}

// next is the epoch that would add updates to the ledger.
func (g *ledger) next(updates []kt.Update, at uint64) (epochRecord, error) {
	u, m := clone(g.updates), g.m
	for _, update := range updates {
		if err := appendLeaf(u, update.Marshal()); err != nil {
			return epochRecord{}, err
		}
		m = advance(m, update)
	}
	root := kt.Root{Updates: u.End(), UpdatesRoot: rootOf(u), MapRoot: m.Root(), At: max(at, g.last.At), Standing: g.last.Standing}
	return epochRecord{entry: root.Marshal(), updates: updates}, nil
}

// advance is the map after an update.
func advance(m *kt.Map, u kt.Update) *kt.Map {
	before, _ := m.Get(u.Index)
	return m.Set(u.Index, kt.Chain(u.Version, before, u.Commitment))
}

// apply adds an epoch, and checks that its root follows. ErrRecord.
func (g *ledger) apply(e epochRecord) error {
	m := g.m
	for _, u := range e.updates {
		m = advance(m, u)
	}
	if err := g.grow(e); err != nil {
		return err
	}
	g.m = m
	return g.agrees()
}

// grow adds an epoch to both trees, and leaves the map alone.
func (g *ledger) grow(e epochRecord) (err error) {
	for _, u := range e.updates {
		if err := appendLeaf(g.updates, u.Marshal()); err != nil {
			return err
		}
	}
	before := g.last.Standing
	if g.size == 0 {
		g.config, err = kt.ParseConfig(e.entry)
	} else {
		g.last, err = kt.ParseRoot(e.entry)
	}
	if err == nil && (g.last.Standing != before || len(e.policy) > 0) {
		err = g.takePolicy(e.policy)
	}
	if err != nil || g.size > 0 && g.last.Updates != g.updates.End() {
		return errors.Join(ErrRecord, err)
	}
	g.size++
	return appendLeaf(g.roots, e.entry)
}

// takePolicy puts the policy in force that the newest root names.
func (g *ledger) takePolicy(text []byte) error {
	p, err := g.policy().Next(text)
	if err != nil || p.Standing() != g.last.Standing {
		return errors.Join(ErrRecord, err)
	}
	g.policies, g.places = append(g.policies, p), append(g.places, g.size)
	return nil
}

// agrees checks the newest root against trees and map.
func (g *ledger) agrees() error {
	if g.size <= 1 && g.updates.End() == 0 {
		return nil
	}
	if g.last.UpdatesRoot != rootOf(g.updates) || g.last.MapRoot != g.m.Root() {
		return ErrRecord
	}
	return nil
}

// scanPage is how many epochs are read at a time.
const scanPage = 512

// eachEpoch visits the stored epochs from one on, in order and without a gap.
func eachEpoch(ctx context.Context, records Records, from uint64, visit func(epochRecord) error) error {
	return eachEpochBy(ctx, records, from, scanPage, visit)
}

// eachEpochBy is eachEpoch with so many epochs in memory at a time.
func eachEpochBy(ctx context.Context, records Records, from uint64, most int, visit func(epochRecord) error) error {
	after := ""
	if from > 0 {
		after = epochKey(from - 1)
	}
	for n := from; ; {
		page, err := records.Scan(ctx, epochPrefix, after, most)
		if err != nil {
			return err
		}
		for _, row := range page {
			e, err := parseEpoch(row.Val)
			if err != nil || row.Key != epochKey(n) {
				return errors.Join(ErrRecord, err)
			}
			if err := visit(e); err != nil {
				return err
			}
			after, n = row.Key, n+1
		}
		if len(page) < most {
			return nil
		}
	}
}

// errEnough ends a visit early.
var errEnough = errors.New("log: enough")

// replay rebuilds the ledger from the first so many epochs of the store, or all
// of them if size is 0. The map is built once, at the end, from the last value of
// each index. ErrRecord also if there are not so many.
func replay(ctx context.Context, records Records, first *kt.Policy, size uint64) (*ledger, error) {
	g, values := newLedger(first), map[kt.Index]kt.Value{}
	err := eachEpoch(ctx, records, 0, func(e epochRecord) error {
		if size > 0 && g.size == size {
			return errEnough
		}
		for _, u := range e.updates {
			values[u.Index] = kt.Chain(u.Version, values[u.Index], u.Commitment)
		}
		return g.grow(e)
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if g.size < size {
		return nil, ErrRecord
	}
	entries := make([]kt.Entry, 0, len(values))
	for index, value := range values {
		entries = append(entries, kt.Entry{Index: index, Value: value})
	}
	slices.SortFunc(entries, func(a, b kt.Entry) int { return slices.Compare(a.Index[:], b.Index[:]) })
	if g.m, err = kt.BuildMap(entries); err != nil {
		return nil, err
	}
	return g, g.agrees()
}

// follow applies the epochs that other nodes have added, and shows each to
// visit with the state after it.
func (g *ledger) follow(ctx context.Context, records Records, visit func(epochRecord) error) error {
	return eachEpoch(ctx, records, g.size, func(e epochRecord) error {
		if err := g.apply(e); err != nil {
			return err
		}
		return visit(e)
	})
}

// epochWith finds the first epoch after which U has more than n entries, by
// bisection. size: when there is none.
func epochWith(ctx context.Context, records Records, n, size uint64) (uint64, error) {
	low, high := uint64(0), size
	for low < high {
		middle := low + (high-low)/2
		value, _, err := records.Get(ctx, epochKey(middle))
		if err != nil {
			return 0, errors.Join(ErrRecord, err)
		}
		e, err := parseEpoch(value)
		if err != nil {
			return 0, err
		}
		updates := uint64(0)
		if middle > 0 {
			root, err := kt.ParseRoot(e.entry)
			if err != nil {
				return 0, ErrRecord
			}
			updates = root.Updates
		}
		if updates > n {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}

// has reports whether a record is there.
func has(ctx context.Context, records Records, key string) (bool, error) {
	_, _, err := records.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
