package level3sparse

import (
	"encoding/binary"
	"slices"

	"github.com/posthorn/posthorn/suite"
)

// Piece is one part of an object in a systematic Reed-Solomon code over
// GF(2^16): 16 polynomials of a degree below the number of pieces, taken at the
// point Index. The first pieces are the object itself.
type Piece struct {
	Index uint16
	Bytes [PieceSize]byte
}

const symbols = PieceSize / 2

// Cut makes the piece with an index of an object, whose length is a multiple of
// PieceSize.
func Cut(object []byte, index uint16) Piece {
	whole := make([]Piece, len(object)/PieceSize)
	for i := range whole {
		whole[i] = Piece{Index: uint16(i), Bytes: [PieceSize]byte(object[i*PieceSize:])}
	}
	if int(index) < len(whole) {
		return whole[index]
	}
	return interpolate(whole, index)
}

// Rebuild makes an object of n pieces from any n of its pieces, whose indices
// must differ. More are not looked at.
func Rebuild(pieces []Piece, n int) ([]byte, error) {
	if len(pieces) < n {
		return nil, refuse(suite.ErrMalformed, "too few pieces")
	}
	pieces = pieces[:n]
	var object []byte
	for i := range n {
		at := slices.IndexFunc(pieces, func(p Piece) bool { return int(p.Index) == i })
		p := Piece{}
		if at >= 0 {
			p = pieces[at]
		} else {
			p = interpolate(pieces, uint16(i))
		}
		object = append(object, p.Bytes[:]...)
	}
	return object, nil
}

// interpolate takes the polynomials through the pieces at another point, after
// Lagrange.
func interpolate(pieces []Piece, index uint16) Piece {
	var sums [symbols]element
	for i := range pieces {
		weight := lagrange(pieces, i, element(index))
		for s := range sums {
			sums[s] ^= weight.times(pieces[i].symbol(s))
		}
	}
	p := Piece{Index: index}
	for s, sum := range sums {
		binary.BigEndian.PutUint16(p.Bytes[2*s:], uint16(sum))
	}
	return p
}

// lagrange is the weight of piece i at the point x. Subtraction is exclusive or.
func lagrange(pieces []Piece, i int, x element) element {
	above, below := element(1), element(1)
	for j, other := range pieces {
		if j != i {
			above = above.times(x ^ element(other.Index))
			below = below.times(element(pieces[i].Index) ^ element(other.Index))
		}
	}
	return above.times(below.inverse())
}

func (p *Piece) symbol(s int) element {
	return element(binary.BigEndian.Uint16(p.Bytes[2*s:]))
}
