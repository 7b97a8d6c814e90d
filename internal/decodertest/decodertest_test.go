package decodertest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
)

// judge notes a failure and goes on, so that a check can be seen to fail.
type judge struct {
	testing.TB
	failed string
}

func (j *judge) Helper() {}

func (j *judge) Fatalf(format string, args ...any) {
	if j.failed == "" {
		j.failed = fmt.Sprintf(format, args...)
	}
}

func (j *judge) Fatal(args ...any) { j.Fatalf("%s", fmt.Sprint(args...)) }

var errRefused = errors.New("refused")

func keep(b []byte) ([]byte, error) { return b, nil }

func write1(b []byte) []byte { return b }

// TestChecksBite: each promise is broken once, and its check says so.
func TestChecksBite(t *testing.T) {
	for name, check := range map[string]func(testing.TB){
		"second encoding": func(t testing.TB) {
			Canonical(t, []byte("AB"), keep, func([]byte) []byte { return []byte("ab") })
		},
		"changed input": func(t testing.TB) {
			Canonical(t, []byte("AB"), func(b []byte) ([]byte, error) { b[0] = 'x'; return b, nil }, write1)
		},
		"believed length": func(t testing.TB) {
			Canonical(t, []byte{0, 64, 0, 0}, func(b []byte) ([]byte, error) {
				return make([]byte, binary.BigEndian.Uint32(b))[:0], errRefused
			}, write1)
		},
		"refused": func(t testing.TB) {
			RoundTrip(t, []byte("AB"), write1, func([]byte) ([]byte, error) { return nil, errRefused })
		},
		"other value": func(t testing.TB) {
			RoundTrip(t, []byte("AB"), write1, func(b []byte) ([]byte, error) { return b[1:], nil })
		},
	} {
		j := &judge{TB: t}
		if check(j); j.failed == "" {
			t.Errorf("%s: not noticed", name)
		}
	}
	if _, ok := Canonical(t, []byte("AB"), keep, write1); !ok {
		t.Error("a sound decoder is refused")
	}
	RoundTrip(t, []byte("AB"), write1, keep)
}

func TestSourceYieldsZerosAtItsEnd(t *testing.T) {
	s := From([]byte{1, 0, 2, 3, 9, 9, 9})
	if s.U8() != 1 || s.U16() != 2 || s.Below(256) != 3 || string(s.Bytes(200)) != "\x09\x09" || !s.Empty() {
		t.Error("the choices are not the bytes")
	}
	if s.U32() != 0 || s.U64() != 0 || s.Bool() || len(s.Bytes(1000)) != 0 || s.Below(7) != 0 {
		t.Error("the end is not all zeros")
	}
}

func TestSeedsHaveTheFormOfTheTestingPackage(t *testing.T) {
	got := corpusFile(t, []any{[]byte("\x00\xffa"), "text\n", true, uint8(200), uint16(7)})
	want := "go test fuzz v1\n[]byte(\"\\x00\\xffa\")\nstring(\"text\\n\")\nbool(true)\nuint8(200)\nuint16(7)\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
