package server

import (
	"testing"

	"github.com/posthorn/posthorn/server/store"
)

// Acks are cumulative, repeated and sometimes too high; each envelope counts
// once.
func TestLedgerCountsEachEnvelopeOnce(t *testing.T) {
	l, box := newLedger(), store.Box{1}
	if n := l.ack(box, 5); n != 0 {
		t.Errorf("nobody listens: %d", n)
	}
	first := l.begin(box, 10)
	l.send(first, 14)
	for _, step := range [][2]uint64{{9, 0}, {12, 2}, {12, 0}, {11, 0}, {99, 2}, {99, 0}} {
		if n := l.ack(box, step[0]); n != step[1] {
			t.Errorf("ack %d counts %d, want %d", step[0], n, step[1])
		}
	}
	second := l.begin(box, 14)
	l.send(second, 15)
	l.end(box, first) // late: the second stays
	if n := l.ack(box, 15); n != 1 {
		t.Errorf("on the newer stream: %d", n)
	}
	l.end(box, second)
	if len(l.open) != 0 {
		t.Error("a stream stays behind")
	}
}
