package kt

import (
	"crypto/sha256"
	"slices"

	"github.com/posthorn/posthorn/internal/reject"
)

// Entry is one place of a map and what is there.
type Entry struct {
	Index Index
	Value Value
}

// Map is a Merkle prefix tree from indexes to values, with the hashes of
// draft-ietf-keytrans-protocol. It never changes: Set gives a new map, which
// shares what did not change, so that readers need no lock. The zero Map is
// empty. SPEC §13.3.
type Map struct {
	top  *node
	size int
}

// node is a leaf, which has an entry, or stands for all places that begin with
// its bits. A subtree with one place is a leaf; one with none is nil.
type node struct {
	hash        [32]byte
	left, right *node
	entry       *Entry
}

func leafHash(e Entry) [32]byte {
	b := [1 + 64]byte{2}
	copy(b[1:], e.Index[:])
	copy(b[33:], e.Value[:])
	return sha256.Sum256(b[:])
}

func innerHash(left, right [32]byte) [32]byte {
	b := [1 + 64]byte{3}
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

func newLeaf(e Entry) *node { return &node{hash: leafHash(e), entry: &e} }

func newInner(left, right *node) *node {
	return &node{hash: innerHash(left.sum(), right.sum()), left: left, right: right}
}

// sum is the hash of a subtree: zeros where nothing is.
func (n *node) sum() [32]byte {
	if n == nil {
		return [32]byte{}
	}
	return n.hash
}

// bit is the bit of an index that decides at a depth, from the first on.
func (i Index) bit(depth int) byte { return i[depth/8] >> (7 - depth%8) & 1 }

// Root is the hash of the whole map: zeros when it is empty.
func (m *Map) Root() [32]byte { return m.top.sum() }

// Len is how many places have a value.
func (m *Map) Len() int { return m.size }

// Get gives the value at a place.
func (m *Map) Get(at Index) (Value, bool) {
	n := m.top
	for depth := 0; n != nil && n.entry == nil; depth++ {
		n = n.child(at.bit(depth))
	}
	if n == nil || n.entry.Index != at {
		return Value{}, false
	}
	return n.entry.Value, true
}

func (n *node) child(bit byte) *node {
	if bit == 0 {
		return n.left
	}
	return n.right
}

// Set gives the map with another value at a place.
func (m *Map) Set(at Index, v Value) *Map {
	size := m.size
	if _, known := m.Get(at); !known {
		size++
	}
	return &Map{m.top.set(0, Entry{at, v}), size}
}

func (n *node) set(depth int, e Entry) *node {
	if n == nil || n.entry != nil && n.entry.Index == e.Index {
		return newLeaf(e)
	}
	if n.entry != nil {
		return join(depth, n, newLeaf(e))
	}
	if e.Index.bit(depth) == 0 {
		return newInner(n.left.set(depth+1, e), n.right)
	}
	return newInner(n.left, n.right.set(depth+1, e))
}

// join puts two leaves under the first node where they differ.
func join(depth int, a, b *node) *node {
	bit := a.entry.Index.bit(depth)
	switch {
	case bit == b.entry.Index.bit(depth) && bit == 0:
		return newInner(join(depth+1, a, b), nil)
	case bit == b.entry.Index.bit(depth):
		return newInner(nil, join(depth+1, a, b))
	case bit == 0:
		return newInner(a, b)
	}
	return newInner(b, a)
}

// BuildMap makes a map of many entries at once, which have ascending indexes.
func BuildMap(entries []Entry) (*Map, error) {
	for i := 1; i < len(entries); i++ {
		if slices.Compare(entries[i-1].Index[:], entries[i].Index[:]) >= 0 {
			return nil, reject.New("V-180", ErrEncoding, "the entries of a map are not in ascending order")
		}
	}
	return &Map{build(0, entries), len(entries)}, nil
}

func build(depth int, entries []Entry) *node {
	switch len(entries) {
	case 0:
		return nil
	case 1:
		return newLeaf(entries[0])
	}
	split, _ := slices.BinarySearchFunc(entries, byte(1), func(e Entry, bit byte) int {
		return int(e.Index.bit(depth)) - int(bit)
	})
	return newInner(build(depth+1, entries[:split]), build(depth+1, entries[split:]))
}
