package pq3_test

import (
	"bytes"
	"testing"

	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// TestPreparedReplyIsAnOrdinaryReply: with the same randomness, a reply from a
// prepared session is the reply of an unprepared one, byte for byte, whether
// there is a KEM key to answer or not.
func TestPreparedReplyIsAnOrdinaryReply(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, pq3.Policy{EveryMessages: 3}, suite)
		for i := range 12 {
			from := []*pq3test.Endpoint{p.alice, p.bob}[i%2]
			if s := from.Sessions.Sending(); s != nil {
				wantSameReply(t, s)
			}
			p.say(from, 1)
		}
	}
}

func wantSameReply(t *testing.T, s *pq3.Session) {
	t.Helper()
	ahead, later := pq3test.NewEntropy("reply"), pq3test.NewEntropy("reply")
	prepared, err := s.Prepare(ahead)
	if err != nil {
		t.Fatal(err)
	}
	next, wire, err := prepared.Seal(ahead, pq3test.Now, []byte("reply"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want, plain, err := s.Seal(later, pq3test.Now, []byte("reply"), nil)
	if err != nil || !bytes.Equal(wire, plain) || !bytes.Equal(next.MarshalState(), want.MarshalState()) {
		t.Errorf("a prepared reply differs (%v)", err)
	}
}

// TestPreparationIsNotStored: it changes nothing that is written, survives the
// rest of the peer's chain, happens once, and only in role R.
func TestPreparationIsNotStored(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.talk(2)
	wires := [][]byte{p.seal(p.alice, "one"), p.seal(p.alice, "two")}
	p.deliver(p.bob, wires[0])
	s := p.bob.Sessions.Sending()
	prepared, err := s.Prepare(p.bob.Ent)
	if err != nil || prepared == s {
		t.Fatalf("nothing prepared: %v", err)
	}
	if !bytes.Equal(prepared.MarshalState(), s.MarshalState()) {
		t.Error("preparation shows in the stored state")
	}
	if again, _ := prepared.Prepare(p.bob.Ent); again != prepared {
		t.Error("prepared twice")
	}
	if sending := p.alice.Sessions.Sending(); sending.Sending() {
		if same, _ := sending.Prepare(p.alice.Ent); same != sending {
			t.Error("prepared while sending")
		}
	}
	p.bob.Sessions, _ = p.bob.Sessions.With(prepared)
	p.deliver(p.bob, wires[1])
	p.deliver(p.alice, p.seal(p.bob, "the prepared reply"))
}

// TestAppendSealAppends: the message stands behind what the buffer held, in the
// caller's memory, and dirty spare capacity leaves no trace in it.
func TestAppendSealAppends(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, pq3.Policy{}, suite)
		p.talk(2)
		s := p.alice.Sessions.Sending()
		_, plain, err := s.Seal(pq3test.NewEntropy("same"), p.now, []byte("text"), nil)
		if err != nil {
			t.Fatal(err)
		}
		dirty := bytes.Repeat([]byte{0xaa}, 8192)
		_, longer, err := s.AppendSeal(dirty[:7], pq3test.NewEntropy("same"), p.now, []byte("text"), nil, 0)
		if err != nil || &longer[0] != &dirty[0] || !bytes.Equal(longer[7:], plain) {
			t.Errorf("%s: appended %d bytes to 7, want %d (%v)", suite, len(longer), len(plain), err)
		}
	}
}
