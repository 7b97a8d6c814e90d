package pq3_test

import (
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// TestV30V58MessageOfExactlyTheLimit: 131,072 bytes are sealed and opened; with
// one byte of associated data more, nothing is.
func TestV30V58MessageOfExactlyTheLimit(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.say(p.alice, 1)
	s := p.bob.Sessions.Sending() // its first message advertises a KEM key
	text := make([]byte, 129_024-4)
	associated := make([]byte, pq3.MaxMessage-156-8-1184-129_024)
	_, wire, err := s.Seal(p.bob.Ent, p.now, text, associated)
	if err != nil || len(wire) != pq3.MaxMessage {
		t.Fatalf("%d bytes, %v", len(wire), err)
	}
	if _, err := receiveOne(p.alice, p.bob, p.now, wire); err != nil {
		t.Error(err)
	}
	_, _, err = s.Seal(p.bob.Ent, p.now, text, append(associated, 0))
	wantRefusal(t, err, "V-58", pq3.ErrTooLarge)
}

// TestV33PositionsAtTheLimit: index 499 and a previous chain of 500 messages
// exist, one more of either does not.
func TestV33PositionsAtTheLimit(t *testing.T) {
	wire := named(account.PQ3, "plain").wire
	for _, c := range []struct {
		index, previous uint32
		ok              bool
	}{{499, 500, true}, {500, 0, false}, {0, 501, false}} {
		f := pq3.FieldsOf(wire)
		f.Index, f.Previous = c.index, c.previous
		_, err := pq3.ParseMessage(pq3.Assemble(f, make([]byte, 32), make([]byte, 64)))
		if c.ok && err != nil {
			t.Errorf("index %d, previous %d: %v", c.index, c.previous, err)
		} else if !c.ok {
			wantRefusal(t, err, "V-33", pq3.ErrSkipLimit)
		}
	}
}

// TestOnlyCarriedObjectsOfEpoch0MakeAStart: SPEC §5.3 and §9.3.
func TestOnlyCarriedObjectsOfEpoch0MakeAStart(t *testing.T) {
	for _, d := range cases(account.PQ3) {
		m, err := pq3.ParseMessage(d.wire)
		if want := d.name == "start" || d.name == "start-again"; err != nil || m.IsStart() != want {
			t.Errorf("%s: %v, %v", d.name, m.IsStart(), err)
		}
	}
	m, err := pq3.ParseMessage(pq3.Forge(named(account.PQ3, "start").from.Identity, named(account.PQ3, "start").to.Party(),
		named(account.PQ3, "start").wire, leaveOut))
	if err != nil || m.IsStart() {
		t.Errorf("a message of epoch 0 without its objects is a start (%v)", err)
	}
}

// TestAnswerIsOwedFromAdvertisementToReply: SPEC §8.5.
func TestAnswerIsOwedFromAdvertisementToReply(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	owes := func(want bool, when string) {
		t.Helper()
		if s := p.alice.Sessions.Sending(); s.OwesAnswer() != want {
			t.Errorf("%s: Alice owes is %v", when, !want)
		}
	}
	p.say(p.alice, 1)
	owes(false, "after the start")
	p.say(p.bob, 1)
	owes(true, "after Bob's first message, which advertises")
	if p.bob.Sessions.Sending().OwesAnswer() {
		t.Error("Bob, who asked, owes the answer")
	}
	p.say(p.alice, 1)
	owes(false, "after the reply")
	p.say(p.bob, 1)
	owes(false, "after a message that advertises nothing")
}

// TestObjectsAreSentOfTheChainAskedFor: SendsObjects answers for the current
// chain, its epoch and its digest, and for no other. SPEC §10.3.
func TestObjectsAreSentOfTheChainAskedFor(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	start := pq3.FieldsOf(p.say(p.alice, 1)[0])
	digest := [8]byte(start.Digest)
	alice := p.alice.Sessions.Sending()
	if !alice.SendsObjects(0, digest) || alice.SendsObjects(2, digest) || alice.SendsObjects(0, [8]byte{}) {
		t.Error("Alice does not send the objects of her start, or those of another chain")
	}
	if p.bob.Sessions.Sending().SendsObjects(0, digest) {
		t.Error("Bob sends objects without a chain")
	}
	p.talk(2)
	p.say(p.alice, 1)
	if s := p.alice.Sessions.Sending(); s.SendsObjects(s.Epoch(), [8]byte{}) {
		t.Error("a chain without objects has some")
	}
}

// TestForcedObjectsRideOutsideTheirPace: SPEC §9.3 lets a sender carry them on
// any message, and on no chain that has none.
func TestForcedObjectsRideOutsideTheirPace(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.say(p.alice, 2)
	s := p.alice.Sessions.Sending()
	for force, want := range map[pq3.Force]bool{0: false, pq3.ForceAdvertise: false, pq3.ForceObjects: true} {
		_, wire, err := s.SealWith(p.alice.Ent, p.now, []byte("third"), nil, force)
		if err != nil || (pq3.FieldsOf(wire).Flags&0x80 != 0) != want {
			t.Errorf("force %d: %v", force, err)
		}
	}
	p.talk(3)
	_, wire, err := p.alice.Sessions.Sending().SealWith(p.alice.Ent, p.now, []byte("plain"), nil, pq3.ForceObjects)
	if err != nil || pq3.FieldsOf(wire).Flags != 0 {
		t.Errorf("objects on a chain without any: %v", err)
	}
}

// TestLargeMessagesCarryObjects: message 2 of a chain rides without its
// objects, unless its ciphertext has 4 KiB.
func TestLargeMessagesCarryObjects(t *testing.T) {
	for size, want := range map[int]bool{100: false, 4 << 10: true, 8 << 10: true} {
		p := newPair(t, pq3.Policy{})
		p.seal(p.alice, "0")
		p.seal(p.alice, "1")
		f := pq3.FieldsOf(p.seal(p.alice, strings.Repeat("x", size-4)))
		if carried := f.Flags&0x80 != 0; f.Index != 2 || carried != want {
			t.Errorf("message %d with %d bytes of ciphertext carries its objects: %v", f.Index, len(f.Ciphertext), carried)
		}
	}
}

// TestWireSizeIsKnownBefore: the length that decides whether a message is too
// long is the one that it gets, with every kind of object.
func TestWireSizeIsKnownBefore(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, pq3.Policy{EveryMessages: 1}, suite)
		for round := range 6 {
			from := []*pq3test.Endpoint{p.alice, p.bob}[round%2]
			for range 2 {
				wire := p.seal(from, "text")
				m, err := pq3.ParseMessage(wire)
				if err != nil || pq3.WireSize(m) != len(wire) {
					t.Fatalf("%s, round %d: %d bytes predicted, %d are there, %v", suite, round, pq3.WireSize(m), len(wire), err)
				}
				p.deliver(p.peer(from), wire)
			}
		}
	}
}

// TestV58ObjectsCountInTheLimit: in PQ3A the objects of a start leave less room.
func TestV58ObjectsCountInTheLimit(t *testing.T) {
	text := strings.Repeat("x", 124<<10-4)
	p := newPair(t, pq3.Policy{}, account.PQ3)
	p.deliver(p.bob, p.seal(p.alice, text))
	p = newPair(t, pq3.Policy{}, account.PQ3A)
	_, err := p.alice.Send(p.bob, p.now, text, 0)
	wantRefusal(t, err, "V-58", pq3.ErrTooLarge)
}

// TestLifetimes: what a caller erases by, as SPEC §10 has it.
func TestLifetimes(t *testing.T) {
	if pq3.PrekeyRetention != 720*time.Hour+10*time.Minute || pq3.SupersededLife != 336*time.Hour || pq3.BundleLife != 720*time.Hour {
		t.Error(pq3.PrekeyRetention, pq3.SupersededLife, pq3.BundleLife)
	}
}
