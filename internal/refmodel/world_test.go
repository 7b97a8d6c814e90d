package refmodel_test

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/refmodel"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// difference is where two implementations went different ways.
type difference struct{ what, one, other string }

func (d *difference) Error() string { return d.what + ":\n one   " + d.one + "\n other " + d.other }

// end is one device, in one implementation or in both side by side.
type end struct {
	name    string
	sides   []side
	bundles [][]byte // all that it published, the newest last
	waiting [][]byte // messages that wait for objects
}

// letter is a message on its way.
type letter struct {
	to   int
	wire []byte
}

// world is two devices, a network, a clock, and somebody who holds the signing
// keys and a copy of the state of whoever sends.
type world struct {
	now     uint64
	ends    [2]*end
	way     []letter
	old     []letter // delivered before, whatever became of them
	texts   map[string]string
	evil    *pq3test.Entropy
	owns    [2]*refmodel.Own
	count   int // of operations
	budget  int // how many messages may still be sealed
	sealed  int
	opened  int
	refused map[string]int
}

// which implementations an end has.
const (
	both = iota
	realOnly
	modelOnly
)

var names = [2]string{"alice", "bob"}

// newWorld makes two devices with a bundle each. A flaw is planted in Bob's
// model and in Alice's.
func newWorld(at [2]int, flaw refmodel.Flaw, policy refmodel.Policy, suites [2][]account.Suite) (*world, error) {
	w := &world{
		now: uint64(pq3test.Now.UnixMilli()), texts: map[string]string{}, refused: map[string]int{},
		evil: pq3test.NewEntropy("evil"),
	}
	for i, name := range names {
		own, peer := party{name, suites[i]}, party{names[1-i], suites[1-i]}
		e := &end{name: name}
		if at[i] != modelOnly {
			e.sides = append(e.sides, newRealSide(own, peer, policy))
		}
		if at[i] != realOnly {
			m := newModelSide(own, peer, policy)
			m.own.Flaw = flaw
			e.sides = append(e.sides, m)
		}
		w.ends[i], w.owns[i] = e, newOwn(own)
	}
	for i := range w.ends {
		if err := w.rotate(i); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// agreed does one thing on every side of an end and compares what came of it,
// and what the sessions look like afterwards.
func (w *world) agreed(who int, what string, do func(side) outcome) (outcome, error) {
	e := w.ends[who]
	w.count++
	var results []outcome
	for _, s := range e.sides {
		s.draw(fmt.Sprintf("%s, operation %d", e.name, w.count))
		results = append(results, do(s))
	}
	for _, r := range results[1:] {
		if r != results[0] {
			return r, &difference{e.name + " " + what, results[0].String(), r.String()}
		}
	}
	for _, s := range e.sides[1:] {
		if one, other := e.sides[0].observe(w.now), s.observe(w.now); one != other {
			return results[0], &difference{e.name + " after " + what, one, other}
		}
		if one, other := e.sides[0].drawn(), s.drawn(); results[0].refused == "" && one != other {
			return results[0], &difference{e.name + " draws for " + what, one, other}
		}
	}
	if results[0].refused != "" {
		w.refused[results[0].refused]++
	}
	return results[0], nil
}

func (o outcome) String() string {
	if o.refused != "" {
		return "refuses, " + o.refused
	}
	digest := sha256.Sum256([]byte(o.bytes))
	return fmt.Sprintf("%d bytes %.60x… (%x)", len(o.bytes), o.bytes, digest[:6])
}

func (w *world) rotate(who int) error {
	made, err := w.agreed(who, "rotates", func(s side) outcome { return outcome{bytes: string(s.rotate(w.now))} })
	w.ends[who].bundles = append(w.ends[who].bundles, []byte(made.bytes))
	return err
}

// newest is an end's bundle that is so many behind the newest.
func (e *end) newest(behind int) []byte { return e.bundles[max(0, len(e.bundles)-1-behind)] }

// send seals a text and puts it on its way.
func (w *world) send(who int, o order) error {
	if w.budget--; w.budget < 0 {
		return nil
	}
	o.now = w.now
	if o.bundle == nil {
		o.bundle = w.ends[1-who].newest(0)
	}
	sealed, err := w.agreed(who, "seals", func(s side) outcome { return s.send(o) })
	if err == nil && sealed.refused == "" {
		w.sealed++
		w.way = append(w.way, letter{1 - who, []byte(sealed.bytes)})
		w.texts[sealed.bytes] = string(o.text)
	}
	return err
}

// deliver opens one letter, and whatever has waited for it.
func (w *world) deliver(l letter) error {
	w.old = append(w.old, l)
	got, err := w.receive(l.to, l.wire)
	if err != nil {
		return err
	}
	e := w.ends[l.to]
	if got.refused == "V-56" {
		e.waiting = append(e.waiting, l.wire)
		return nil
	}
	if got.refused != "" {
		return nil
	}
	waiting := e.waiting
	e.waiting = nil
	for _, wire := range waiting {
		got, err := w.receive(l.to, wire)
		if err != nil {
			return err
		}
		if got.refused == "V-56" {
			e.waiting = append(e.waiting, wire)
		}
	}
	return nil
}

// receive opens one message. What an honest peer sealed must read as it was
// written.
func (w *world) receive(to int, wire []byte) (outcome, error) {
	got, err := w.agreed(to, "opens", func(s side) outcome { return s.receive(w.now, slices.Clone(wire)) })
	if err != nil || got.refused != "" {
		return got, err
	}
	w.opened++
	if text, honest := w.texts[string(wire)]; honest && text != got.bytes {
		return got, &difference{w.ends[to].name + " reads", text, got.bytes}
	}
	return got, nil
}

// take removes a letter from the way.
func (w *world) take(i int) letter {
	l := w.way[i]
	w.way = slices.Delete(w.way, i, i+1)
	return l
}

// deliverAll empties the way, in either order.
func (w *world) deliverAll(backwards bool) error {
	for len(w.way) > 0 {
		i := 0
		if backwards {
			i = len(w.way) - 1
		}
		if err := w.deliver(w.take(i)); err != nil {
			return err
		}
	}
	return nil
}

// any is a letter of the way or an old one.
func (w *world) any(i int) (letter, bool) {
	all := append(slices.Clone(w.way), w.old...)
	if len(all) == 0 {
		return letter{}, false
	}
	return all[i%len(all)], true
}

// model is the model's side of an end, or nil.
func (e *end) model() *modelSide {
	for _, s := range e.sides {
		if m, ok := s.(*modelSide); ok {
			return m
		}
	}
	return nil
}

// deviate lets a copy of the sender's state seal one message against the rules
// and delivers it at once. The sender's own state does not move.
func (w *world) deviate(who int, d refmodel.Deviation, wish refmodel.Wish, text string) error {
	m := w.ends[who].model()
	if m == nil || len(m.sessions) == 0 {
		return nil
	}
	_, wire, err := m.sessions[0].Deviating(d).Seal(w.evil.Read, w.now, []byte(text), nil, wish)
	if err != nil {
		return nil
	}
	return w.deliver(letter{1 - who, wire})
}
