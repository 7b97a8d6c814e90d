package refmodel_test

import (
	"testing"

	"github.com/posthorn/posthorn/internal/refmodel"
)

// begun is a world in which Alice has sent one text and Bob has read it.
func begun(t *testing.T) *world {
	t.Helper()
	w, err := play(do([]byte{1, 0}, op(opStart, alice), op(opFlush)), sideBySide, "", unlimited)
	if err != nil || w.opened != 1 {
		t.Fatal(w.opened, err)
	}
	return w
}

// wants demands one outcome of both implementations.
func (w *world) wants(t *testing.T, who int, refused string, do func(side) outcome) {
	t.Helper()
	got, err := w.agreed(who, "is asked", do)
	if err != nil || got.refused != refused {
		t.Errorf("%v, %v; want %q", got, err, refused)
	}
}

// TestV45BothCountStartsUnderABundle: the last of 65,536 starts is accepted, and
// nothing after it.
func TestV45BothCountStartsUnderABundle(t *testing.T) {
	w := begun(t)
	for _, s := range w.ends[bob].sides {
		s.addStarts(65536-2, w.ends[bob].newest(0), w.now)
	}
	for _, refused := range []string{"", "V-45"} {
		if err := w.send(int(alice), order{fresh: true, text: []byte("one more")}); err != nil {
			t.Fatal(err)
		}
		wire := w.take(0).wire
		w.wants(t, int(bob), refused, func(s side) outcome { return s.receive(w.now, wire) })
	}
}

// TestV57BothStopAtTheHardLimit: at the last millisecond both seal, at the next
// neither does, whatever the session layer would do about it.
func TestV57BothStopAtTheHardLimit(t *testing.T) {
	for after, refused := range map[uint64]string{7*day - 1: "", 7 * day: "V-57"} {
		for _, who := range []byte{alice, bob} {
			w := begun(t)
			w.wants(t, int(who), refused, func(s side) outcome { return s.insist(w.now + after) })
		}
	}
}

// TestV57BothFillAChain: the 500th message is the last without a reply.
func TestV57BothFillAChain(t *testing.T) {
	w := begun(t)
	for range 499 {
		w.wants(t, int(alice), "", func(s side) outcome { return s.insist(w.now) })
	}
	w.wants(t, int(alice), "V-57", func(s side) outcome { return s.insist(w.now) })
}

// TestModelKnowsItsFlaws: each deviation has a name of its own.
func TestModelKnowsItsFlaws(t *testing.T) {
	seen := map[refmodel.Flaw]bool{"": true}
	for _, flaw := range refmodel.Flaws() {
		if seen[flaw] {
			t.Errorf("%q stands twice", flaw)
		}
		seen[flaw] = true
	}
}
