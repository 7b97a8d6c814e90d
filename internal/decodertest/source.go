package decodertest

import "encoding/binary"

// Source turns fuzz bytes into choices, so that the fuzzer searches among
// values and not only among encodings. When the bytes run out it yields zeros:
// every input is some value.
type Source struct{ rest []byte }

// From reads choices from b.
func From(b []byte) *Source { return &Source{b} }

// Empty reports whether all bytes have been used.
func (s *Source) Empty() bool { return len(s.rest) == 0 }

// Fill sets every byte of p.
func (s *Source) Fill(p []byte) {
	clear(p)
	s.rest = s.rest[copy(p, s.rest):]
}

// U8 is any byte.
func (s *Source) U8() uint8 {
	var b [1]byte
	s.Fill(b[:])
	return b[0]
}

// U16 is any number of 16 bits.
func (s *Source) U16() uint16 {
	var b [2]byte
	s.Fill(b[:])
	return binary.BigEndian.Uint16(b[:])
}

// U32 is any number of 32 bits.
func (s *Source) U32() uint32 {
	var b [4]byte
	s.Fill(b[:])
	return binary.BigEndian.Uint32(b[:])
}

// U64 is any number of 64 bits.
func (s *Source) U64() uint64 {
	var b [8]byte
	s.Fill(b[:])
	return binary.BigEndian.Uint64(b[:])
}

// Below is a number from 0 to n-1, for n up to 65,536.
func (s *Source) Below(n int) int {
	if n <= 256 {
		return int(s.U8()) % n
	}
	return int(s.U16()) % n
}

// Bool is either.
func (s *Source) Bool() bool { return s.U8()&1 == 1 }

// Bytes are at most max bytes of the input; never nil.
func (s *Source) Bytes(max int) []byte {
	p := make([]byte, min(s.Below(max+1), len(s.rest)))
	s.Fill(p)
	return p
}
