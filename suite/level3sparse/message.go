package level3sparse

import (
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/suite"
)

// Kind says what a piece is of.
type Kind uint8

// The kinds of pieces.
const (
	NoPiece         Kind = 0
	KeyPiece        Kind = 1 // of an encapsulation key
	CiphertextPiece Kind = 2
)

// pieces is how many rebuild an object of this kind.
func (k Kind) pieces() int {
	if k == KeyPiece {
		return KeyPieces
	}
	return CiphertextPieces
}

// Header is what the KEM ratchet adds to a message; level1.Message has it in
// Second. The exchange under way is for Epoch+1.
type Header struct {
	Epoch    uint32
	Index    uint32 // in the sender's chain of the epoch
	Previous uint32 // length of its chain in the epoch before
	Kind     Kind
	Piece    Piece // zero without one
}

// Marshal is 13 bytes, and 34 more with a piece.
func (h *Header) Marshal() []byte {
	b := binary.BigEndian.AppendUint32(nil, h.Epoch)
	b = binary.BigEndian.AppendUint32(b, h.Index)
	b = binary.BigEndian.AppendUint32(b, h.Previous)
	b = append(b, byte(h.Kind))
	if h.Kind == NoPiece {
		return b
	}
	b = binary.BigEndian.AppendUint16(b, h.Piece.Index)
	return append(b, h.Piece.Bytes[:]...)
}

// ParseHeader reads a header.
func ParseHeader(b []byte) (*Header, error) {
	r := codec.NewReader(b)
	h := &Header{Epoch: r.U32(), Index: r.U32(), Previous: r.U32(), Kind: Kind(r.U8())}
	if h.Kind != NoPiece {
		h.Piece.Index = r.U16()
		r.Copy(h.Piece.Bytes[:])
	}
	if !r.Done() || h.Kind > CiphertextPiece {
		return nil, refuse(suite.ErrMalformed, "not a header of the KEM ratchet")
	}
	return h, nil
}

// Objects counts the bytes of a header that are a piece of a key or ciphertext.
func (Sparse) Objects(header []byte) int {
	h, err := ParseHeader(header)
	if err != nil || h.Kind == NoPiece {
		return 0
	}
	return PieceSize
}
