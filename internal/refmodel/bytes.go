package refmodel

// cat is x ‖ y ‖ …. SPEC §3.2.
func cat(parts ...[]byte) []byte {
	all := []byte{}
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// number writes an unsigned integer in size bytes, big-endian. SPEC §3.2.
func number(x uint64, size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[size-1-i] = byte(x >> (8 * i))
	}
	return out
}

func u8(x byte) []byte    { return number(uint64(x), 1) }
func u16(x int) []byte    { return number(uint64(x), 2) }
func u32(x uint32) []byte { return number(uint64(x), 4) }
func u64(x uint64) []byte { return number(x, 8) }

// v16 is a field with its length before it. SPEC §3.2.
func v16(x []byte) []byte {
	if len(x) >= 1<<16 {
		panic("refmodel: a field too long for v16")
	}
	return cat(u16(len(x)), x)
}

// v32 is the same for long fields. SPEC §3.2.
func v32(x []byte) []byte { return cat(u32(uint32(len(x))), x) }

// value is the reverse of number.
func value(b []byte) (x uint64) {
	for _, digit := range b {
		x = x<<8 | uint64(digit)
	}
	return x
}

// reader takes a format apart from the front. SPEC §3.2: truncated input and
// trailing bytes are refused, here with the id of the format.
type reader struct {
	rest []byte
	id   Refusal
}

func (r *reader) take(n uint64) []byte {
	require(n <= uint64(len(r.rest)), r.id)
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return cat(out)
}

func (r *reader) u8() byte    { return byte(value(r.take(1))) }
func (r *reader) u32() uint32 { return uint32(value(r.take(4))) }
func (r *reader) u64() uint64 { return value(r.take(8)) }

// end requires that nothing is left.
func (r *reader) end() { require(len(r.rest) == 0, r.id) }

func same(a, b []byte) bool { return string(a) == string(b) }

func allZero(b []byte) bool { return same(b, make([]byte, len(b))) }
