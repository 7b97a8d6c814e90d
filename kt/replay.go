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
	labels map[Index]Label
	dirty  map[Index]bool // set in labels and not yet in tree
	tree   *Map
	log    *compact.Range
}

// NewReplay starts before the first entry.
func NewReplay() *Replay {
	factory := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	return &Replay{map[Index]Label{}, map[Index]bool{}, &Map{}, factory.NewEmptyRange(0)}
}

// Add takes the next entry of U. It refuses a version that is not the next of
// its index, and then changes nothing.
func (r *Replay) Add(u Update) error {
	last, known := r.labels[u.Index]
	if known && u.Version != last.Version+1 || !known && u.Version != 0 || u.Version == 1<<32-1 {
		return reject.New("V-196", ErrAudit, "the versions of a name do not rise one by one")
	}
	if err := r.log.Append(rfc6962.DefaultHasher.HashLeaf(u.Marshal()), nil); err != nil {
		return err
	}
	r.labels[u.Index] = Label{u.Version, Chain(u.Version, last.Value, u.Commitment)}
	r.dirty[u.Index] = true
	return nil
}

// Size is how many entries were taken.
func (r *Replay) Size() uint64 { return r.log.End() }

// Label gives the newest version at an index and the end of its chain.
func (r *Replay) Label(at Index) (Label, bool) {
	l, ok := r.labels[at]
	return l, ok
}

// Map is the map after all entries so far.
func (r *Replay) Map() *Map {
	if len(r.dirty) > 64 && len(r.dirty) > r.tree.Len()/16 {
		r.tree = r.rebuilt()
	} else {
		for at := range r.dirty {
			r.tree = r.tree.Set(at, r.labels[at].Value)
		}
	}
	clear(r.dirty)
	return r.tree
}

func (r *Replay) rebuilt() *Map {
	entries := make([]Entry, 0, len(r.labels))
	for at, l := range r.labels {
		entries = append(entries, Entry{at, l.Value})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return bytes.Compare(a.Index[:], b.Index[:]) })
	return &Map{build(0, entries), len(entries)}
}

// Root is the entry of R for what was taken so far, at a time in Unix ms.
func (r *Replay) Root(at uint64) (Root, error) {
	root := Root{Updates: r.Size(), MapRoot: r.Map().Root(), At: at}
	sum := rfc6962.DefaultHasher.EmptyRoot()
	if r.Size() > 0 {
		var err error
		if sum, err = r.log.GetRootHash(nil); err != nil {
			return Root{}, err
		}
	}
	root.UpdatesRoot = [32]byte(sum)
	return root, nil
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
