package refmodel_test

import (
	"flag"
	"testing"

	"github.com/posthorn/posthorn/internal/refmodel"
)

var allPairs = flag.Bool("pairs", false, "break every pair of rules, not one in four")

// situations are moments at which the next message of a sender has a different
// part to play for the receiver.
var situations = []struct {
	name   string
	sender byte
	ops    []byte
}{
	{"the start", alice, do(op(opStart, alice))},
	{"a later message of epoch 0", alice, do(op(opTalk, 1), op(opSend, alice, 2))},
	{"an epoch that advertises", bob, do(op(opTalk, 1))},
	{"an epoch with an answer", alice, do(op(opTalk, 2))},
	{"an epoch without objects", bob, do(op(opTalk, 3))},
	{"a message of a chain", alice, do(op(opTalk, 2), op(opSend, alice, 2), op(opFlush))},
	{"one with overtaken messages", alice, do(op(opTalk, 2), op(opSend, alice, 2), op(opFlush), op(opBurst, alice, 3), op(opDeliver, 0, 1))},
}

// TestPairsOfBrokenRules breaks two rules at a time, with a proof that fits, and
// wants both implementations to name the same one: the order of the checks is
// part of SPEC §5.3, §8.2 and §9.6.
func TestPairsOfBrokenRules(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, s := range situations {
		w, err := play(do([]byte{1, 1}, s.ops), sideBySide, "", unlimited)
		if err != nil {
			t.Fatal(err)
		}
		for i := range changes {
			for j := i; j < len(changes); j++ {
				if !*allPairs && (i+j/2)%4 != 0 {
					continue
				}
				fit := refit(7 * ((i + j) & 1))
				both := func(m *refmodel.Message) {
					changes[i](m)
					changes[j](m)
					fit.Apply(m, w.owns[s.sender], &w.owns[1-s.sender].Device)
				}
				if err := w.tryOut(int(s.sender), fit, both); err != nil {
					t.Fatalf("%s, changes %d and %d, refitted %v: %v", s.name, i, j, fit, err)
				}
				compared++
			}
		}
	}
	t.Logf("%d messages compared", compared)
}

// tryOut delivers a changed message to a receiver that forgets it again: the
// next one, sealed with its keys, and one on its way, signed again.
func (w *world) tryOut(who int, fit refmodel.Refit, change func(*refmodel.Message)) error {
	for _, s := range w.ends[1-who].sides {
		defer s.mark()()
	}
	if len(w.way) > 0 {
		m, err := refmodel.Parse(w.way[0].wire)
		if err != nil {
			return err
		}
		wire := refmodel.Forge(w.owns[who], &w.owns[1-who].Device, m, fit, change)
		if err := w.deliver(letter{1 - who, wire}); err != nil {
			return err
		}
	}
	return w.deviate(who, refmodel.Deviation{Message: change}, refmodel.Wish{}, "two rules at once")
}

// TestEveryPrefixIsRefusedAlike cuts messages of each kind at every place.
func TestEveryPrefixIsRefusedAlike(t *testing.T) {
	for _, s := range situations {
		w, err := play(do([]byte{1, 1}, s.ops, op(opSend, s.sender, 2)), sideBySide, "", unlimited)
		if err != nil {
			t.Fatal(err)
		}
		wire := w.way[len(w.way)-1].wire
		for n := range wire {
			if got, err := w.receive(int(1-s.sender), wire[:n]); err != nil || got.refused == "" {
				t.Fatalf("%s, first %d bytes: %v, %v", s.name, n, got, err)
			}
		}
	}
}

// TestPairsOfBrokenRulesOfANote: a note with a changed byte that is late as well.
func TestPairsOfBrokenRulesOfANote(t *testing.T) {
	w := begun(t)
	about := w.old[0].wire
	sealed, err := w.agreed(int(bob), "notes", func(s side) outcome { return s.control(w.now, about, 1) })
	if err != nil || sealed.refused != "" {
		t.Fatal(sealed, err)
	}
	for place := range 200 {
		for _, at := range []uint64{w.now - 5*minute - 1, w.now, w.now + day + 1} {
			wire := []byte(sealed.bytes)
			wire[place] ^= 1
			if _, err := w.agreed(int(alice), "reads a note", func(s side) outcome { return s.openControl(at, wire) }); err != nil {
				t.Fatalf("byte %d: %v", place, err)
			}
		}
	}
}

// TestPairsOfBrokenRulesOfABundle: two changed bytes, and perhaps too late.
func TestPairsOfBrokenRulesOfABundle(t *testing.T) {
	w := begun(t)
	for i := range 300 {
		bundle := append([]byte(nil), w.ends[alice].newest(0)...)
		one, other := i*37%1700, i*i%4991
		bundle[one] ^= 1 << (i % 8)
		bundle[other] ^= 1 << (i / 8 % 8)
		o := order{fresh: true, bundle: bundle, seenNotBefore: w.now + uint64(i%2)}
		if i%5 == 0 {
			w.now += day
		}
		if err := w.send(int(bob), o); err != nil {
			t.Fatalf("bytes %d and %d: %v", one, other, err)
		}
	}
}
