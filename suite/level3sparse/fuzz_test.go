package level3sparse_test

import (
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/suite/level3sparse"
	"github.com/posthorn/posthorn/suite/seeded"
)

func FuzzParseHeader(f *testing.F) {
	w := newWorld(f, "fuzz")
	_, first := parse(f, w.Talk("alice", "bob"))
	_, plain := parse(f, w.Talk("bob", "alice"))
	decodertest.Seed(f, "piece", first.Marshal())
	decodertest.Seed(f, "plain", plain.Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, level3sparse.ParseHeader, (*level3sparse.Header).Marshal)
	})
}

// FuzzParseState: what parses can send and receive without a panic.
func FuzzParseState(f *testing.F) {
	w := newWorld(f, "fuzz")
	for range 60 {
		w.Talk("alice", "bob")
		w.Talk("bob", "alice")
	}
	w.Send("alice", "bob")
	w.Talk("alice", "bob")
	_, a := stolen(f, w, "alice")
	_, b := stolen(f, w, "bob")
	decodertest.Seed(f, "alice", a.Marshal())
	decodertest.Seed(f, "bob", b.Marshal())
	var sparse level3sparse.Sparse
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok := decodertest.Canonical(t, b, level3sparse.ParseState, (*level3sparse.State).Marshal); !ok {
			return
		}
		next, header, _, err := sparse.Send(seeded.New("fuzz"), b)
		if err != nil {
			return
		}
		if _, err := level3sparse.ParseState(next); err != nil {
			t.Errorf("the state after sending: %v", err)
		}
		if next, _, err := sparse.Receive(b, header); err == nil {
			if _, err := level3sparse.ParseState(next); err != nil {
				t.Errorf("the state after receiving: %v", err)
			}
		}
	})
}
