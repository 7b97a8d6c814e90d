package store

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"
)

// Head is one mailbox without its envelopes, which are First..Last.
type Head struct {
	Box         Box
	First, Last uint64
	Expired     uint64 // aged out since the owner last asked
	Limits      Limits
	Gone        bool // dropped; every other field but Box is zero
}

// Visitor is shown everything that a store holds, in an order that is the same
// for every backend: mailboxes in the byte order of their ids, each followed by
// its envelopes; directory values in the byte order of their keys; pooled
// values by the length of the pool's name, then by its bytes, oldest first. What
// it is given is its own only until it returns. An error of it ends the visit.
type Visitor interface {
	Mailbox(Head) error
	Envelope(Box, Msg) error
	Value(Entry) error
	Pooled(pool string, val []byte) error
}

// Sum says how much a store holds, and by its hash exactly what.
type Sum struct {
	Mailboxes uint64 `json:"mailboxes"` // open ones
	Dropped   uint64 `json:"dropped"`
	Envelopes uint64 `json:"envelopes"`
	Values    uint64 `json:"values"`
	Pooled    uint64 `json:"pooled"`
	Hash      [sha256.Size]byte
}

// Summer is a Visitor that makes a Sum.
type Summer struct {
	sum  Sum
	hash hash.Hash
	buf  []byte
}

// NewSummer makes a Summer that has seen nothing.
func NewSummer() *Summer { return &Summer{hash: sha256.New()} }

// Sum is the sum of what was shown so far.
func (s *Summer) Sum() Sum {
	sum := s.sum
	s.hash.Sum(sum.Hash[:0])
	return sum
}

// write hashes one record: its kind, and its fields with their lengths.
func (s *Summer) write(kind byte, numbers []uint64, fields ...[]byte) {
	s.buf = append(s.buf[:0], kind)
	for _, n := range numbers {
		s.buf = binary.BigEndian.AppendUint64(s.buf, n)
	}
	for _, f := range fields {
		s.buf = binary.BigEndian.AppendUint64(s.buf, uint64(len(f)))
		s.buf = append(s.buf, f...)
	}
	_, _ = s.hash.Write(s.buf) // it does not fail
}

// Mailbox counts a mailbox; see Visitor.
func (s *Summer) Mailbox(h Head) error {
	gone := uint64(0)
	if s.sum.Mailboxes++; h.Gone {
		gone = 1
		s.sum.Mailboxes--
		s.sum.Dropped++
	}
	s.write('h', []uint64{h.First, h.Last, h.Expired, uint64(h.Limits.Envelopes), min(h.Limits.Bytes, math.MaxInt64), gone}, h.Box[:])
	return nil
}

// Envelope counts an envelope; see Visitor.
func (s *Summer) Envelope(box Box, m Msg) error {
	s.sum.Envelopes++
	s.write('m', []uint64{m.Seq, uint64(m.At.UnixMilli())}, box[:], m.ID[:], m.Sender[:], m.Data)
	return nil
}

// Value counts a directory value; see Visitor.
func (s *Summer) Value(e Entry) error {
	s.sum.Values++
	s.write('d', []uint64{e.Ver}, []byte(e.Key), e.Val)
	return nil
}

// Pooled counts a value of a pool; see Visitor.
func (s *Summer) Pooled(pool string, val []byte) error {
	s.sum.Pooled++
	s.write('k', nil, []byte(pool), val)
	return nil
}

// Both shows everything to two visitors.
func Both(a, b Visitor) Visitor { return both{a, b} }

type both struct{ a, b Visitor }

func (v both) Mailbox(h Head) error {
	if err := v.a.Mailbox(h); err != nil {
		return err
	}
	return v.b.Mailbox(h)
}

func (v both) Envelope(box Box, m Msg) error {
	if err := v.a.Envelope(box, m); err != nil {
		return err
	}
	return v.b.Envelope(box, m)
}

func (v both) Value(e Entry) error {
	if err := v.a.Value(e); err != nil {
		return err
	}
	return v.b.Value(e)
}

func (v both) Pooled(pool string, val []byte) error {
	if err := v.a.Pooled(pool, val); err != nil {
		return err
	}
	return v.b.Pooled(pool, val)
}
