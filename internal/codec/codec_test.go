package codec

import (
	"bytes"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

func TestReaderTakesWhatAppendWrote(t *testing.T) {
	b := AppendV32(AppendV16([]byte{7, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 10}, []byte("ab")), []byte("cde"))
	r := NewReader(b)
	if r.U8() != 7 || r.U16() != 8 || r.U32() != 9 || r.U64() != 10 {
		t.Fatal("an integer changed")
	}
	if string(r.V16(2)) != "ab" || r.Len() != 7 || string(r.V32(3)) != "cde" || !r.Done() {
		t.Fatal("a field changed")
	}
}

func TestReaderStaysFailed(t *testing.T) {
	fields := map[string]func(*Reader){
		"u8": func(r *Reader) { r.U8() }, "u16": func(r *Reader) { r.U16() },
		"u32": func(r *Reader) { r.U32() }, "u64": func(r *Reader) { r.U64() },
		"bytes": func(r *Reader) { r.Bytes(1) }, "negative": func(r *Reader) { r.Bytes(-1) },
		"copy": func(r *Reader) { r.Copy(make([]byte, 1)) },
		"v16":  func(r *Reader) { r.V16(9) }, "v32": func(r *Reader) { r.V32(9) },
	}
	for name, read := range fields {
		r := NewReader(nil)
		read(r)
		if !r.Failed() || r.Done() || r.U8() != 0 || r.Bytes(0) != nil {
			t.Errorf("%s: reading on after the end", name)
		}
	}
}

func TestFieldBounds(t *testing.T) {
	for _, c := range []struct {
		in   []byte
		max  int
		good bool
	}{
		{[]byte{0, 2, 1, 2}, 2, true}, {[]byte{0, 2, 1, 2}, 1, false}, {[]byte{0, 2, 1}, 9, false},
		{[]byte{0, 0}, 0, true}, {[]byte{0}, 9, false}, {[]byte{0xff, 0xff}, 1 << 20, false},
	} {
		r := NewReader(c.in)
		if r.V16(c.max); r.Done() != c.good {
			t.Errorf("V16(%d) of %x: done is %v", c.max, c.in, r.Done())
		}
	}
	r := NewReader([]byte{0xff, 0xff, 0xff, 0xff, 1})
	if r.V32(1<<20) != nil || !r.Failed() {
		t.Error("a length of four gigabytes was believed")
	}
}

func TestLeftoverIsNotDone(t *testing.T) {
	r := NewReader([]byte{1, 2})
	if r.U8(); r.Done() || r.Len() != 1 {
		t.Error("a byte left over was not noticed")
	}
}

// What a reader hands out cannot be grown over the bytes behind it.
func TestTakenBytesDoNotReachFurther(t *testing.T) {
	in := []byte{1, 2, 3}
	taken := NewReader(in).Bytes(1)
	_ = append(taken, 9)
	if in[1] != 2 {
		t.Error("appending to a field changed the next one")
	}
}

func TestV16RefusesWhatItCannotCount(t *testing.T) {
	if got := AppendV16(nil, make([]byte, 0xffff)); len(got) != 2+0xffff {
		t.Error("65,535 bytes fit")
	}
	defer func() {
		if recover() == nil {
			t.Error("65,536 bytes got a length that is a lie")
		}
	}()
	AppendV16(nil, make([]byte, 0x10000))
}

// FuzzFields: fields of any length are read back, one after the other.
func FuzzFields(f *testing.F) {
	decodertest.Seed(f, "short", []byte("a"), []byte(""), []byte("bc"))
	decodertest.Seed(f, "length-like", []byte{0, 2}, []byte{0, 0, 0, 1}, []byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		if len(a) > 0xffff || len(b) > 0xffff {
			return
		}
		r := NewReader(AppendV32(AppendV16(AppendV16(nil, a), b), c))
		if !bytes.Equal(r.V16(len(a)), a) || !bytes.Equal(r.V16(len(b)), b) || !bytes.Equal(r.V32(len(c)), c) || !r.Done() {
			t.Fatal("the fields came back changed")
		}
	})
}

// FuzzReader reads any bytes in any order of calls. A reader never goes beyond
// its input, never comes back from a failure, and what it took is the input.
func FuzzReader(f *testing.F) {
	decodertest.Seed(f, "all-calls", []byte{1, 2, 3, 4, 5, 6, 0}, bytes.Repeat([]byte{0, 1}, 20))
	decodertest.Seed(f, "four-gigabytes", []byte{6}, bytes.Repeat([]byte{0xff}, 9))
	f.Fuzz(func(t *testing.T, calls, in []byte) {
		r, taken := NewReader(in), 0
		for _, call := range calls {
			failed, before := r.Failed(), r.Len()
			n := take(r, call)
			if failed && (!r.Failed() || r.Len() != before) || r.Len() > before || !r.Failed() && n != before-r.Len() {
				t.Fatalf("call %d took %d of %d bytes and left %d", call, n, before, r.Len())
			}
			if r.Failed() {
				return
			}
			taken += n
		}
		if taken+r.Len() != len(in) || r.Done() != (r.Len() == 0) {
			t.Fatal("bytes were lost")
		}
	})
}

// take makes one call and says how many bytes it should use if it succeeds.
func take(r *Reader, call byte) int {
	switch call % 7 {
	case 0:
		return len(r.Bytes(int(call) / 7))
	case 1:
		r.U8()
		return 1
	case 2:
		r.U16()
		return 2
	case 3:
		r.U32()
		return 4
	case 4:
		r.U64()
		return 8
	case 5:
		return 2 + len(r.V16(int(call)))
	}
	return 4 + len(r.V32(int(call)))
}
