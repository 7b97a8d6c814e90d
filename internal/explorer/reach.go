package explorer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/posthorn/posthorn/internal/reject"
)

// Reach says what an exploration came upon, so that nobody takes an empty scene
// for a safe one. A half is what one device has stored about one other.
type Reach struct {
	Halves   int            // distinct ones
	Epoch    int            // greatest number of an epoch
	Rekeys   int            // most KEM secrets after the start in one session
	Skipped  int            // halves that keep message keys of overtaken messages
	Waiting  int            // halves in which messages wait for objects
	Parallel int            // halves with more than one session
	Refusals map[string]int // distinct calls refused, by the rule of SPEC §15
}

func (l *lab) reached() Reach {
	r := Reach{Refusals: map[string]int{}}
	for _, out := range l.calls.byInput {
		var refusal *reject.Error
		if errors.As(out.refusal, &refusal) {
			r.Refusals[refusal.Check]++
		}
	}
	for _, e := range l.epochs.byKey {
		r.Epoch = max(r.Epoch, int(e.number))
		rekeys := 0
		for ; e.parent != nil; e = e.parent {
			rekeys += int(bit(e.answered != nil))
		}
		r.Rekeys = max(r.Rekeys, rekeys)
	}
	for _, h := range l.halves.byKey {
		r.Halves++
		r.Skipped += int(bit(slices.ContainsFunc(h.shades, func(s shade) bool { return len(s.skipped) > 0 })))
		r.Waiting += int(bit(len(h.waiting) > 0))
		r.Parallel += int(bit(len(h.shades) > 1))
	}
	return r
}

// Add joins what two explorations reached.
func (r *Reach) Add(o Reach) {
	r.Halves += o.Halves
	r.Epoch, r.Rekeys = max(r.Epoch, o.Epoch), max(r.Rekeys, o.Rekeys)
	r.Skipped, r.Waiting, r.Parallel = r.Skipped+o.Skipped, r.Waiting+o.Waiting, r.Parallel+o.Parallel
	if r.Refusals == nil {
		r.Refusals = map[string]int{}
	}
	for check, n := range o.Refusals {
		r.Refusals[check] += n
	}
}

// String is one line.
func (r Reach) String() string {
	var refusals []string
	for _, check := range slices.Sorted(maps.Keys(r.Refusals)) {
		refusals = append(refusals, fmt.Sprintf("%s ×%d", check, r.Refusals[check]))
	}
	return fmt.Sprintf("%d stored halves, %d with skipped keys, %d with waiting messages, %d with parallel sessions; "+
		"epoch %d, %d KEM rekeys; refused: %s",
		r.Halves, r.Skipped, r.Waiting, r.Parallel, r.Epoch, r.Rekeys, strings.Join(refusals, ", "))
}
