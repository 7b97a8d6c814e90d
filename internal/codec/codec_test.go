package codec

import (
	"bytes"
	"testing"
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

func FuzzFields(f *testing.F) {
	f.Add([]byte("a"), []byte(""), []byte("bc"))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		if len(a) > 0xffff || len(b) > 0xffff {
			t.Skip()
		}
		r := NewReader(AppendV32(AppendV16(AppendV16(nil, a), b), c))
		if !bytes.Equal(r.V16(len(a)), a) || !bytes.Equal(r.V16(len(b)), b) || !bytes.Equal(r.V32(len(c)), c) || !r.Done() {
			t.Fatal("the fields came back changed")
		}
	})
}
