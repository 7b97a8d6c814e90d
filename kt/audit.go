package kt

import (
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/posthorn/posthorn/internal/reject"
)

// Audit makes every root of R anew from the updates, epoch by epoch, and in the
// end compares R itself with a checkpoint. It is for one goroutine.
type Audit struct {
	policy  *Policy
	replay  *Replay
	roots   *compact.Range
	base    *compact.Range // of R before recent
	recent  [][]byte       // entries of R from the last root on, or from entry 0
	refused *Step
}

// NewAudit starts before the first entry of R.
func NewAudit(p *Policy) *Audit {
	return &Audit{policy: p, replay: NewReplay(), roots: ranges().NewEmptyRange(0), base: ranges().NewEmptyRange(0)}
}

// Epochs is how many entries of R were taken.
func (a *Audit) Epochs() uint64 { return a.roots.End() }

// Updates is how many entries of U were taken.
func (a *Audit) Updates() uint64 { return a.replay.Size() }

// Names is how many names those are about.
func (a *Audit) Names() int { return a.replay.Map().Len() }

// Refused is the epoch that was refused, with what shows it; nil: none was. After
// a refusal the audit takes no more.
func (a *Audit) Refused() *Step { return a.refused }

// Epoch takes the next entry of R and the entries of U that it adds.
func (a *Audit) Epoch(entry []byte, updates [][]byte) error {
	if a.refused != nil {
		return reject.New("V-196", ErrAudit, "an earlier root does not follow")
	}
	if a.Epochs() == 0 {
		if err := (&Step{Entries: [][]byte{entry}, Updates: updates}).judgeFirst(a.policy.config); err != nil {
			a.refused = a.step(entry, nil)
			return err
		}
	} else if err := a.epoch(entry, updates); err != nil {
		return err
	}
	return a.take(entry)
}

// epoch applies the updates. When the root does not follow, the step that shows
// it is kept, and the refusal is the one that everybody finds who works it out.
func (a *Audit) epoch(entry []byte, updates [][]byte) error {
	before, peaks := a.replay.Map(), edgeHashes(a.replay.log)
	tails, err := a.apply(entry, updates)
	if err == nil {
		return nil
	}
	a.refused = a.step(entry, updates)
	a.refused.Peaks, a.refused.Held = peaks, places(before, updates, tails)
	if _, shown := a.refused.judge(a.policy.config); shown != nil {
		return shown
	}
	return err
}

// apply gives what each name had before its update, as far as they were followed.
func (a *Audit) apply(entry []byte, updates [][]byte) (tails []*Tail, err error) {
	for _, raw := range updates {
		u, err := ParseUpdate(raw)
		if err != nil {
			return tails, err
		}
		tails = append(tails, a.replay.tail(u.Index))
		if err := a.replay.Add(u); err != nil {
			return tails, err
		}
	}
	root, err := ParseRoot(entry)
	if err != nil {
		return tails, err
	}
	if err := a.Standing().goesOn(root.Standing); err != nil {
		return tails, err
	}
	return tails, a.replay.Check(root)
}

// Standing is the policy that the last root names.
func (a *Audit) Standing() Standing {
	if len(a.recent) == 0 {
		return Standing{}
	}
	root, err := ParseRoot(a.recent[0])
	if err != nil {
		return Standing{} // entry 0
	}
	return root.Standing
}

// places are what a map has at the index of each update, one after the other.
func places(m *Map, updates [][]byte, tails []*Tail) (list []Held) {
	for i, last := range tails {
		u, err := ParseUpdate(updates[i])
		if err != nil {
			return list
		}
		list = append(list, Held{m.Prove(u.Index), last})
		after, err := last.next(u)
		if err != nil {
			return list
		}
		m = m.Set(u.Index, after.Value())
	}
	return list
}

// step is an epoch after what was taken so far, with what lies before it.
func (a *Audit) step(entry []byte, updates [][]byte) *Step {
	s := &Step{From: a.base.End(), Edge: edgeHashes(a.base)}
	for _, e := range append(slices.Clone(a.recent), entry) {
		s.Entries = append(s.Entries, slices.Clone(e[:min(len(e), maxEntry)]))
	}
	for _, u := range updates[:min(len(updates), maxEpochUpdates)] {
		s.Updates = append(s.Updates, slices.Clone(u[:min(len(u), maxEntry)]))
	}
	return s
}

// take adds an entry to R.
func (a *Audit) take(entry []byte) error {
	for _, old := range a.recent {
		if err := a.base.Append(rfc6962.DefaultHasher.HashLeaf(old), nil); err != nil {
			return err
		}
	}
	a.recent = [][]byte{slices.Clone(entry)}
	return a.roots.Append(rfc6962.DefaultHasher.HashLeaf(entry), nil)
}

// Finish compares all entries of R that were taken with a checkpoint over them.
func (a *Audit) Finish(c *Checkpoint) error {
	if c.Size != a.Epochs() || c.Size == 0 {
		return reject.New("V-196", ErrAudit, "the checkpoint is over another number of roots")
	}
	// A policy that came into force after this checkpoint may have opened it.
	if last := a.Standing(); c.by != nil && last != c.by.standing && last.Number >= c.by.standing.Number {
		return reject.New("V-286", ErrAudit, "the last root names another policy than the one that opened the checkpoint")
	}
	sum, err := edgeRoot(a.roots)
	if err != nil {
		return err
	}
	if sum != c.Root {
		a.refused = &Step{From: a.base.End(), Edge: edgeHashes(a.base), Entries: a.recent}
		return reject.New("V-196", ErrAudit, "the roots that were given are not those of the checkpoint")
	}
	return nil
}
