package kt

import (
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/posthorn/posthorn/internal/reject"
)

// Step is one epoch with all it takes to work it out anew, and nothing of the
// rest of the log: so small a part shows that a root does not follow. An auditor
// makes it of an epoch that it refuses. SPEC §13.3.
type Step struct {
	From    uint64     // number in R of the first of the entries
	Edge    [][32]byte // of R before them
	Entries [][]byte   // from the last root before, or from entry 0, to the one that is refused
	Updates [][]byte   // that the server gave with it
	Peaks   [][32]byte // the edge of U before them
	Held    []Held     // for each update, as far as it was followed, what the map had before it
}

// Held is what a map has at the index of an update.
type Held struct {
	Proof MapProof
	Last  *Tail // nil: nothing
}

// Number is that of the entry which is refused.
func (s *Step) Number() uint64 { return s.From + uint64(len(s.Entries)) - 1 }

func (s *Step) entry() []byte { return s.Entries[len(s.Entries)-1] }

// root is that of R up to the refused entry.
func (s *Step) root() (root [32]byte, err error) {
	r, err := edgeOf(s.From, s.Edge)
	if err != nil {
		return root, err
	}
	for _, e := range s.Entries {
		if err := r.Append(rfc6962.DefaultHasher.HashLeaf(e), nil); err != nil {
			return root, err
		}
	}
	return edgeRoot(r)
}

// edgeOf is the edge of a tree of a size.
func edgeOf(size uint64, hashes [][32]byte) (*compact.Range, error) {
	if size > 1<<62 {
		return nil, reject.New("V-275", ErrEvidence, "no log has so many entries")
	}
	r, err := ranges().NewRange(0, size, hashSlices(hashes))
	if err != nil {
		return nil, reject.New("V-275", ErrEvidence, "not the edge of a tree of that size")
	}
	return r, nil
}

// edgeHashes are what edgeOf makes the edge of.
func edgeHashes(r *compact.Range) (out [][32]byte) {
	for _, h := range r.Hashes() {
		out = append(out, [32]byte(h))
	}
	return out
}

// judge works the epoch out. A refusal by V-275 says that the step is none; every
// other one is of the epoch. signed: the log's own entries contradict each other,
// whatever was given with them.
func (s *Step) judge(first Config) (signed bool, err error) {
	if s.Number() == 0 {
		return true, s.judgeFirst(first)
	}
	before, err := s.before()
	if err != nil {
		return false, err
	}
	root, err := ParseRoot(s.entry())
	if err != nil {
		return true, err
	}
	if root.Updates < before.Updates {
		return true, reject.New("V-196", ErrAudit, "the root is of fewer updates than the one before it")
	}
	if err := before.Standing.goesOn(root.Standing); err != nil {
		return true, err
	}
	signed, err = s.grows(before, root)
	if err != nil {
		return signed, err
	}
	sum, err := s.follow(before.MapRoot)
	if err == nil && sum != root.MapRoot {
		err = reject.New("V-196", ErrAudit, "the map that follows from the updates is another")
	}
	return true, err
}

func (s *Step) judgeFirst(first Config) error {
	c, err := ParseConfig(s.entry())
	if err != nil {
		return err
	}
	if c != first || len(s.Updates) != 0 {
		return reject.New("V-196", ErrAudit, "the log began with another config")
	}
	return nil
}

// before is the root that the epoch starts from: that of nothing after entry 0.
func (s *Step) before() (Root, error) {
	refused := reject.New("V-275", ErrEvidence, "the step does not begin with a root")
	if len(s.Entries) < 2 {
		return Root{}, refused
	}
	if s.From == 0 {
		if _, err := ParseConfig(s.Entries[0]); err != nil {
			return Root{}, refused
		}
		return Root{UpdatesRoot: [32]byte(rfc6962.DefaultHasher.EmptyRoot())}, nil
	}
	root, err := ParseRoot(s.Entries[0])
	if err != nil {
		return Root{}, refused
	}
	return root, nil
}

// grows appends the updates to U, and reports whether they are those that the
// log has signed.
func (s *Step) grows(before, after Root) (signed bool, err error) {
	u, err := edgeOf(before.Updates, s.Peaks)
	if err != nil {
		return false, err
	}
	if sum, err := edgeRoot(u); err != nil || sum != before.UpdatesRoot {
		return false, reject.New("V-275", ErrEvidence, "the edge of the update log is not the one in the root before")
	}
	for _, raw := range s.Updates {
		if err := u.Append(rfc6962.DefaultHasher.HashLeaf(raw), nil); err != nil {
			return false, err
		}
	}
	if u.End() != after.Updates {
		return false, reject.New("V-196", ErrAudit, "the root is of another number of updates")
	}
	sum, err := edgeRoot(u)
	if err == nil && sum != after.UpdatesRoot {
		err = reject.New("V-196", ErrAudit, "the root of the update log is another")
	}
	return err == nil, err
}

// follow is the root of the map after the updates.
func (s *Step) follow(root [32]byte) ([32]byte, error) {
	for i, raw := range s.Updates {
		u, err := ParseUpdate(raw)
		if err != nil {
			return root, err
		}
		if i >= len(s.Held) {
			return root, reject.New("V-275", ErrEvidence, "the place of an update is missing")
		}
		if root, err = s.Held[i].take(root, u); err != nil {
			return root, err
		}
	}
	return root, nil
}

// take is the root of a map after an update, of which only this place is known.
func (p Held) take(root [32]byte, u Update) ([32]byte, error) {
	var err error
	if p.Last == nil {
		err = p.Proof.VerifyAbsent(root, u.Index)
	} else {
		err = p.Proof.VerifyPresent(root, u.Index, p.Last.Value())
	}
	if err != nil {
		return root, reject.New("V-275", ErrEvidence, "the map did not have this at the place of an update")
	}
	after, err := p.Last.next(u)
	if err != nil {
		return root, err
	}
	leaf := newLeaf(Entry{u.Index, after.Value()})
	if p.Proof.Other != nil {
		leaf = join(len(p.Proof.Siblings), newLeaf(*p.Proof.Other), leaf)
	}
	return p.Proof.climb(u.Index, leaf.hash), nil
}
