package kt

import (
	"encoding/binary"
	"math/bits"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// maxDepth is how deep two different indexes can share a path.
const maxDepth = 256

// MapProof leads from a place to the root of a map. It shows the value there, or
// that there is none.
type MapProof struct {
	// Siblings are the hashes beside the path, from the top down: zeros where
	// nothing is.
	Siblings [][32]byte
	// Other is the leaf at the end of the path, if it is of another place. With
	// nil, the place itself is there, or nothing.
	Other *Entry
}

// Prove gives the proof for a place, whether it has a value or not.
func (m *Map) Prove(at Index) (p MapProof) {
	n := m.top
	for depth := 0; n != nil && n.entry == nil; depth++ {
		beside := n.child(1 - at.bit(depth))
		p.Siblings = append(p.Siblings, beside.sum())
		n = n.child(at.bit(depth))
	}
	if n != nil && n.entry.Index != at {
		other := *n.entry
		p.Other = &other
	}
	return p
}

// VerifyPresent checks that a map with this root has the value at the place.
func (p MapProof) VerifyPresent(root [32]byte, at Index, v Value) error {
	if p.Other != nil || p.climb(at, leafHash(Entry{at, v})) != root {
		return reject.New("V-189", ErrMap, "the proof does not lead from the value to the root")
	}
	return nil
}

// VerifyAbsent checks that a map with this root has nothing at the place.
func (p MapProof) VerifyAbsent(root [32]byte, at Index) error {
	end := [32]byte{}
	if p.Other != nil {
		if p.Other.Index == at || !p.onPath(at) {
			return reject.New("V-189", ErrMap, "the leaf that is shown does not stand where the place would be")
		}
		end = leafHash(*p.Other)
	}
	if p.climb(at, end) != root {
		return reject.New("V-189", ErrMap, "the proof does not lead from nothing to the root")
	}
	return nil
}

// onPath reports whether the other leaf begins with the bits of the path.
func (p MapProof) onPath(at Index) bool {
	for depth := range p.Siblings {
		if at.bit(depth) != p.Other.Index.bit(depth) {
			return false
		}
	}
	return true
}

// climb computes the root from the hash at the end of the path.
func (p MapProof) climb(at Index, sum [32]byte) [32]byte {
	for depth := len(p.Siblings) - 1; depth >= 0; depth-- {
		if depth >= maxDepth {
			return [32]byte{}
		}
		if at.bit(depth) == 0 {
			sum = innerHash(sum, p.Siblings[depth])
		} else {
			sum = innerHash(p.Siblings[depth], sum)
		}
	}
	return sum
}

// append writes the proof: its depth, a bit for each sibling that is not zeros,
// those siblings, and the other leaf or nothing.
func (p MapProof) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.Siblings)))
	mask := make([]byte, (len(p.Siblings)+7)/8)
	for i, s := range p.Siblings {
		if s != [32]byte{} {
			mask[i/8] |= 0x80 >> (i % 8)
		}
	}
	b = append(b, mask...)
	for _, s := range p.Siblings {
		if s != [32]byte{} {
			b = append(b, s[:]...)
		}
	}
	if p.Other == nil {
		return append(b, 0)
	}
	b = append(append(b, 1), p.Other.Index[:]...)
	return append(b, p.Other.Value[:]...)
}

// Marshal gives the one encoding of the proof.
func (p MapProof) Marshal() []byte { return p.append(nil) }

// ParseMapProof reads a proof strictly.
func ParseMapProof(raw []byte) (MapProof, error) {
	r := codec.NewReader(raw)
	p, ok := takeMapProof(r)
	if !ok || !r.Done() {
		return MapProof{}, reject.New("V-180", ErrEncoding, "a proof of the map is cut off, too long or not in its one form")
	}
	return p, nil
}

func takeMapProof(r *codec.Reader) (p MapProof, ok bool) {
	depth := int(r.U16())
	if depth > maxDepth {
		return MapProof{}, false
	}
	mask := r.Bytes((depth + 7) / 8)
	if r.Failed() || len(mask) > 0 && depth%8 != 0 && bits.TrailingZeros8(mask[len(mask)-1]) < 8-depth%8 {
		return MapProof{}, false
	}
	for i := range depth {
		var s [32]byte
		if mask[i/8]&(0x80>>(i%8)) != 0 {
			if r.Copy(s[:]); s == [32]byte{} {
				return MapProof{}, false
			}
		}
		p.Siblings = append(p.Siblings, s)
	}
	switch r.U8() {
	case 0:
	case 1:
		p.Other = &Entry{}
		r.Copy(p.Other.Index[:])
		r.Copy(p.Other.Value[:])
	default:
		return MapProof{}, false
	}
	return p, !r.Failed()
}
