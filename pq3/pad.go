package pq3

import (
	"encoding/binary"
	"math/bits"

	"github.com/posthorn/posthorn/internal/reject"
)

// minPadded is the floor under every padded plaintext, in bytes: Padmé alone
// hides almost nothing of a chat-sized text.
const minPadded = 128

// paddedSize is Padmé over the framed length with the 128-byte floor: it keeps
// only as many low bits of a length as its exponent has, so at most 12 % is
// added and few sizes remain. Source: PURBs, PoPETs 2019. SPEC §9.4.
func paddedSize(framed int) int {
	if framed <= minPadded {
		return minPadded
	}
	exponent := bits.Len(uint(framed)) - 1
	kept := bits.Len(uint(exponent))
	low := 1<<(exponent-kept) - 1
	return (framed + low) &^ low
}

// frameHeader is the length of a plaintext's length field.
const frameHeader = 4

// pad fills frame, of paddedSize, with u32 length, plaintext, zeros.
func pad(frame, plaintext []byte) {
	binary.BigEndian.PutUint32(frame, uint32(len(plaintext)))
	n := copy(frame[frameHeader:], plaintext)
	clear(frame[frameHeader+n:])
}

// unpad undoes pad and accepts only what pad produces.
func unpad(framed []byte) ([]byte, error) {
	length := uint64(binary.BigEndian.Uint32(framed))
	if frameHeader+length > uint64(len(framed)) || paddedSize(frameHeader+int(length)) != len(framed) {
		return nil, reject.New("V-55", ErrMalformed, "padded length does not follow from the text length")
	}
	var nonzero byte
	for _, b := range framed[frameHeader+length:] {
		nonzero |= b
	}
	if nonzero != 0 {
		return nil, reject.New("V-55", ErrMalformed, "padding is not zero")
	}
	return framed[frameHeader : frameHeader+length : frameHeader+length], nil
}
