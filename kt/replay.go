package kt

import (
	"bytes"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/posthorn/posthorn/internal/reject"
)

// Replay makes the map from the entries of U, as the server and every auditor
// do. It is for one goroutine; the maps it gives are for all.
type Replay struct {
	labels map[Index]Tail
	dirty  map[Index]bool // set in labels and not yet in tree
	tree   *Map
	log    *compact.Range
}

// NewReplay starts before the first entry.
func NewReplay() *Replay {
	return &Replay{map[Index]Tail{}, map[Index]bool{}, &Map{}, ranges().NewEmptyRange(0)}
}

// ranges make the edges of trees as RFC 6962 has them.
func ranges() *compact.RangeFactory {
	return &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
}

// Tail is the last version of a name, and what its value is made of.
type Tail struct {
	Version    uint32
	Before     Value // the chain's value before this version
	Commitment Commitment
}

// Value is the end of the chain.
func (t Tail) Value() Value { return Chain(t.Version, t.Before, t.Commitment) }

// next is the tail after an update, which must be of the version that follows.
// Nil stands for a name without versions.
func (t *Tail) next(u Update) (Tail, error) {
	after := Tail{Version: u.Version, Commitment: u.Commitment}
	first := t == nil && u.Version == 0
	if !first && (t == nil || u.Version != t.Version+1 || u.Version == 0) || u.Version == 1<<32-1 {
		return Tail{}, reject.New("V-196", ErrAudit, "the versions of a name do not rise one by one")
	}
	if t != nil {
		after.Before = t.Value()
	}
	return after, nil
}

// Add takes the next entry of U. It refuses a version that is not the next of
// its index, and then changes nothing.
func (r *Replay) Add(u Update) error {
	after, err := r.tail(u.Index).next(u)
	if err != nil {
		return err
	}
	if err := r.log.Append(rfc6962.DefaultHasher.HashLeaf(u.Marshal()), nil); err != nil {
		return err
	}
	r.labels[u.Index] = after
	r.dirty[u.Index] = true
	return nil
}

// Size is how many entries were taken.
func (r *Replay) Size() uint64 { return r.log.End() }

// Label gives the newest version at an index and the end of its chain.
func (r *Replay) Label(at Index) (Label, bool) {
	t, ok := r.labels[at]
	return Label{t.Version, t.Value()}, ok
}

func (r *Replay) tail(at Index) *Tail {
	t, ok := r.labels[at]
	if !ok {
		return nil
	}
	return &t
}

// Map is the map after all entries so far.
func (r *Replay) Map() *Map {
	if len(r.dirty) > 64 && len(r.dirty) > r.tree.Len()/16 {
		r.tree = r.rebuilt()
	} else {
		for at := range r.dirty {
			r.tree = r.tree.Set(at, r.labels[at].Value())
		}
	}
	clear(r.dirty)
	return r.tree
}

func (r *Replay) rebuilt() *Map {
	entries := make([]Entry, 0, len(r.labels))
	for at, l := range r.labels {
		entries = append(entries, Entry{at, l.Value()})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return bytes.Compare(a.Index[:], b.Index[:]) })
	return &Map{build(0, entries), len(entries)}
}

// Root is the entry of R for what was taken so far, at a time in Unix ms.
func (r *Replay) Root(at uint64) (Root, error) {
	sum, err := edgeRoot(r.log)
	return Root{Updates: r.Size(), UpdatesRoot: sum, MapRoot: r.Map().Root(), At: at}, err
}

// edgeRoot is the root of a tree with this edge.
func edgeRoot(r *compact.Range) ([32]byte, error) {
	if r.End() == 0 {
		return [32]byte(rfc6962.DefaultHasher.EmptyRoot()), nil
	}
	sum, err := r.GetRootHash(nil)
	if err != nil {
		return [32]byte{}, err
	}
	return [32]byte(sum), nil
}

// Check compares what was taken so far with an entry of R.
func (r *Replay) Check(published Root) error {
	own, err := r.Root(published.At)
	if err != nil {
		return err
	}
	switch {
	case own.Updates != published.Updates:
		return reject.New("V-196", ErrAudit, "the root is of another number of updates")
	case own.UpdatesRoot != published.UpdatesRoot:
		return reject.New("V-196", ErrAudit, "the root of the update log is another")
	case own.MapRoot != published.MapRoot:
		return reject.New("V-196", ErrAudit, "the map that follows from the updates is another")
	}
	return nil
}
