package log

import (
	"context"
	"sync"

	"github.com/transparency-dev/tessera/client"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/kt"
)

// snapshot is a published state of the log, from which answers are made.
type snapshot struct {
	state
	published  uint64 // ms
	checkpoint []byte
	inclusion  [][32]byte // of the last entry of R
	first      [][32]byte // of its first one

	mu          sync.Mutex
	consistency map[uint64][][32]byte
	builder     *client.ProofBuilder
}

// maxConsistency bounds the proofs that are kept with a snapshot.
const maxConsistency = 1024

func (l *Log) snapshot(ctx context.Context, st state, h headRecord) (*snapshot, error) {
	builder, err := client.NewProofBuilder(ctx, st.size, l.tiles.roots.tile)
	if err != nil {
		return nil, err
	}
	s := &snapshot{state: st, published: h.published, checkpoint: h.checkpoint, consistency: map[uint64][][32]byte{}, builder: builder}
	last, err := builder.InclusionProof(ctx, st.size-1)
	if err != nil {
		return nil, err
	}
	first, err := builder.InclusionProof(ctx, 0)
	if err != nil {
		return nil, err
	}
	s.inclusion, s.first = hashes(last), hashes(first)
	return s, nil
}

func hashes(list [][]byte) (out [][32]byte) {
	for _, h := range list {
		out = append(out, [32]byte(h))
	}
	return out
}

// since proves that the snapshot continues the log of a size. None for 0, for its
// own size, and for sizes that it has not reached.
func (s *snapshot) since(ctx context.Context, size uint64) ([][32]byte, error) {
	if size == 0 || size >= s.size {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.consistency[size]; ok {
		return p, nil
	}
	list, err := s.builder.ConsistencyProof(ctx, size, s.size)
	if err != nil {
		return nil, err
	}
	if len(s.consistency) >= maxConsistency {
		clear(s.consistency)
	}
	s.consistency[size] = hashes(list)
	return s.consistency[size], nil
}

// Asked is how far somebody knows the log and a name in it.
type Asked struct {
	Size    uint64 // of R; 0: nothing
	Known   bool   // the name is known, at Version
	Version uint32
}

// DeletedSeq is the number of statements in the last record of a name whose
// account was deleted: no roster has so many. Its head is zero.
const DeletedSeq = kt.DeletedSeq

// Reply is what the log says of a name, and the record that it has of it.
type Reply struct {
	Answer *kt.Answer
	Record *kt.Record // nil: no such name
}

// Deleted reports whether the name's account was deleted.
func (r *Reply) Deleted() bool { return r.Record != nil && r.Record.Seq == DeletedSeq }

// Answer proves what the newest published log says of a name. A name that is not
// there costs the same as one that is. ErrStarting.
func (l *Log) Answer(ctx context.Context, name account.Name, asked Asked) (*Reply, error) {
	s, err := l.reach(ctx, asked.Size)
	if err != nil {
		return nil, err
	}
	a := &kt.Answer{Checkpoint: s.checkpoint, Root: s.last, Inclusion: s.inclusion}
	if a.Consistency, err = s.since(ctx, asked.Size); err != nil {
		return nil, err
	}
	index, proof := l.vrf.prove(name)
	a.VRFProof, a.Map = proof, s.m.Prove(index)
	label, _, err := readLabel(ctx, l.o.Records, name)
	if err != nil {
		return nil, err
	}
	value, present := s.m.Get(index)
	if !present {
		return &Reply{Answer: a}, nil
	}
	last := label.ending(value)
	if last == nil {
		return nil, ErrRecord
	}
	a.Present = &kt.Present{Version: last.version, Before: last.before, Opening: last.opening}
	if asked.Known && asked.Version < last.version && last.version-asked.Version-1 <= kt.MaxLater {
		if a.Present.Later, err = between(label, asked.Version, last); err != nil {
			return nil, err
		}
	}
	return &Reply{a, &last.record}, nil
}

// between are the commitments of the versions after one and before another.
func between(label labelRecord, after uint32, last *versionRecord) (list []kt.Commitment, err error) {
	if last.version == after+1 {
		return nil, nil
	}
	versions, whole := label.since(after+1, last.before)
	if !whole {
		return nil, ErrRecord
	}
	for _, v := range versions {
		list = append(list, v.commitment)
	}
	return list, nil
}

// reach is the newest snapshot. When somebody knows more than this node has, it
// looks once at what the others have published. If it cannot look, that is an
// error: an answer from a shorter log would be taken for a lie.
func (l *Log) reach(ctx context.Context, size uint64) (*snapshot, error) {
	s := l.served.Load()
	if s == nil {
		return nil, ErrStarting
	}
	if size <= s.size || !l.o.Shared {
		return s, nil
	}
	done := make(chan error, 1)
	select {
	case l.ask <- done:
	case <-l.ended:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case err := <-done:
		return l.served.Load(), err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// holds reports whether a snapshot has the record, or what came after it, as the
// newest of its name.
func (l *Log) holds(ctx context.Context, s *snapshot, r kt.Record) (bool, error) {
	index, _ := l.vrf.prove(r.Name)
	value, present := s.m.Get(index)
	if !present {
		return false, nil
	}
	label, _, err := readLabel(ctx, l.o.Records, r.Name)
	if err != nil {
		return false, err
	}
	last := label.ending(value)
	return last != nil && last.covers(r), nil
}

// Published is the record that a published log has of a name; nil: none.
func (l *Log) Published(ctx context.Context, name account.Name) (*kt.Record, error) {
	reply, err := l.Answer(ctx, name, Asked{})
	if err != nil {
		return nil, err
	}
	return reply.Record, nil
}

// vrfCache keeps proofs of names, which take a third of a millisecond each.
type vrfCache struct {
	key *kt.VRFKey

	mu    sync.Mutex
	known map[account.Name]proven
}

type proven struct {
	index kt.Index
	proof [kt.VRFProofSize]byte
}

// maxProven bounds the names whose proofs are kept: about 30 MB.
const maxProven = 1 << 17

func newVRFCache(key *kt.VRFKey) *vrfCache {
	return &vrfCache{key: key, known: map[account.Name]proven{}}
}

// prove gives the index of a name and the proof of it. It does not matter whether
// somebody has the name.
func (c *vrfCache) prove(name account.Name) (kt.Index, [kt.VRFProofSize]byte) {
	c.mu.Lock()
	p, ok := c.known[name]
	c.mu.Unlock()
	if ok {
		return p.index, p.proof
	}
	p.index, p.proof = c.key.Prove(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	for other := range c.known { // in an order that nobody chose
		if len(c.known) < maxProven {
			break
		}
		delete(c.known, other)
	}
	c.known[name] = p
	return p.index, p.proof
}
