// Package codec holds the one encoding style of Posthorn's signed and hashed
// bytes: big-endian integers and length-prefixed strings, read strictly.
//
// Every variable-length field carries its length (SPEC §3.2), so that two
// different lists of fields can never produce the same bytes. The package has
// no protocol words of its own.
package codec

import "encoding/binary"

// AppendV16 appends a 16-bit length and x. It panics if x is longer than
// 65,535 bytes: every caller bounds its fields when it makes or parses them.
func AppendV16(dst, x []byte) []byte {
	if len(x) > 0xffff {
		panic("codec: field longer than 65,535 bytes")
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(x)))
	return append(dst, x...)
}

// AppendV32 appends a 32-bit length and x.
func AppendV32(dst, x []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(x)))
	return append(dst, x...)
}

// Reader takes fields from the front of a byte string. After the first field
// that does not fit, every later read yields zero values and Done reports
// false, so a parser reads all of its fields and checks once.
//
// Slices it returns alias the input. A Reader is for one goroutine.
type Reader struct {
	rest   []byte
	failed bool
}

// NewReader reads from b.
func NewReader(b []byte) *Reader { return &Reader{rest: b} }

// Bytes takes n bytes, or nil when fewer are left.
func (r *Reader) Bytes(n int) []byte {
	if r.failed || n < 0 || n > len(r.rest) {
		r.failed = true
		return nil
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

// Copy fills dst from the input.
func (r *Reader) Copy(dst []byte) { copy(dst, r.Bytes(len(dst))) }

// U8 takes one byte.
func (r *Reader) U8() uint8 {
	if b := r.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// U16 takes a 16-bit integer.
func (r *Reader) U16() uint16 {
	if b := r.Bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// U32 takes a 32-bit integer.
func (r *Reader) U32() uint32 {
	if b := r.Bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// U64 takes a 64-bit integer.
func (r *Reader) U64() uint64 {
	if b := r.Bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// V16 takes a field with a 16-bit length of at most max bytes.
func (r *Reader) V16(max int) []byte { return r.field(int(r.U16()), max) }

// V32 takes a field with a 32-bit length of at most max bytes.
func (r *Reader) V32(max int) []byte { return r.field(int(r.U32()), max) }

func (r *Reader) field(n, max int) []byte {
	if n > max {
		r.failed = true
		return nil
	}
	return r.Bytes(n)
}

// Failed reports whether a field did not fit.
func (r *Reader) Failed() bool { return r.failed }

// Len is the number of bytes not read yet.
func (r *Reader) Len() int { return len(r.rest) }

// Done reports whether every read succeeded and nothing is left over.
func (r *Reader) Done() bool { return !r.failed && len(r.rest) == 0 }
