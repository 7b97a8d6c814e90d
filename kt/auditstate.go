package kt

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

const (
	auditVersion = 1
	tailSize     = 4 + 32 + 32
)

// Marshal gives the one encoding of where an audit stands after some epochs, so
// that it can go on from there: about 100 bytes for each name. Nil after a
// refusal, and before the first entry.
func (a *Audit) Marshal() []byte {
	if a.refused != nil || a.Epochs() == 0 {
		return nil
	}
	b := binary.BigEndian.AppendUint64([]byte{auditVersion}, a.base.End())
	b = appendHashes(b, edgeHashes(a.base))
	b = appendEntries(b, a.recent)
	b = binary.BigEndian.AppendUint64(b, a.replay.Size())
	b = appendHashes(b, edgeHashes(a.replay.log))
	b = binary.BigEndian.AppendUint32(b, uint32(len(a.replay.labels)))
	order := make([]Index, 0, len(a.replay.labels))
	for at := range a.replay.labels {
		order = append(order, at)
	}
	slices.SortFunc(order, func(x, y Index) int { return bytes.Compare(x[:], y[:]) })
	for _, at := range order {
		b = a.replay.labels[at].append(append(b, at[:]...))
	}
	return b
}

// ParseAudit reads what Marshal wrote, of a log with this policy. All of it has
// to lead to the last root that was audited, so nothing in it can be another;
// Finish, with the checkpoint of then, says whether that root is the log's.
func ParseAudit(p *Policy, raw []byte) (*Audit, error) {
	refused := reject.New("V-276", ErrEncoding, "not the state of an audit, or one that was changed")
	r := codec.NewReader(raw)
	version, size, edge := r.U8(), r.U64(), takeHashes(r)
	a := NewAudit(p)
	a.recent = takeEntries(r, maxEpochUpdates)
	updates, peaks := r.U64(), takeHashes(r)
	if version != auditVersion || r.Failed() || len(a.recent) == 0 || !a.takeTails(r) || !r.Done() {
		return nil, refused
	}
	var err error
	if a.base, err = edgeOf(size, edge); err == nil {
		a.replay.log, err = edgeOf(updates, peaks)
	}
	if err != nil || !a.stands() {
		return nil, refused
	}
	return a, nil
}

func (a *Audit) takeTails(r *codec.Reader) bool {
	count := int(r.U32())
	if r.Failed() || r.Len() != count*(32+tailSize) {
		return false
	}
	a.replay.labels = make(map[Index]Tail, count)
	var last Index
	for i := range count {
		var at Index
		r.Copy(at[:])
		if i > 0 && bytes.Compare(last[:], at[:]) >= 0 {
			return false
		}
		a.replay.labels[at], last = takeTail(r), at
	}
	a.replay.tree = a.replay.rebuilt()
	return true
}

// stands reports whether what was read leads to the last root.
func (a *Audit) stands() bool {
	a.roots = cloneEdge(a.base)
	for _, e := range a.recent {
		if a.roots.Append(rfc6962.DefaultHasher.HashLeaf(e), nil) != nil {
			return false
		}
	}
	if a.base.End() == 0 && len(a.recent) == 1 {
		c, err := ParseConfig(a.recent[0])
		return err == nil && c == a.policy.config && len(a.replay.labels) == 0 && a.replay.Size() == 0
	}
	root, err := ParseRoot(a.recent[0])
	return err == nil && a.replay.Check(root) == nil
}

// cloneEdge is an edge that grows without the other one.
func cloneEdge(r *compact.Range) *compact.Range {
	c, err := ranges().NewRange(0, r.End(), slices.Clone(r.Hashes()))
	if err != nil {
		return ranges().NewEmptyRange(0) // of its own parts, so this is not reached
	}
	return c
}
