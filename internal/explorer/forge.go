package explorer

import (
	"fmt"

	"github.com/posthorn/posthorn/pq3"
)

// afterForgedBundle lets the attacker publish a bundle in a device's name,
// signed with the halves of its identity key that leaked and with another key
// in the place of the rest. The real verification decides.
func (l *lab) afterForgedBundle(w *world, a action) (*world, error) {
	o := l.offer(offerName{owner: a.device, halves: w.halvesOf(a.device), forged: true, at: l.now(w)})
	out := l.once(func() *outcome {
		return &outcome{refusal: o.Bundle().Verify(l.cast.party(a.device), l.now(w).time())}
	}, []byte("forged bundle"), []byte(fmt.Sprintf("%+v", o.name)))
	if out.refusal != nil {
		return w, nil
	}
	if o.name.halves != bothHalves {
		return nil, fmt.Errorf("a bundle of %s that one half of its identity key signed is accepted", names[a.device])
	}
	next := *w
	next.devices[a.device].forged, next.devices[a.device].forgedAt = true, w.clock
	next.leaks.forged[0] = true
	next.leaks.terms = withTerms(w.leaks.terms, o.ecdh, o.kem)
	return &next, nil
}

// afterForgedStart lets the attacker start a session in a device's name with
// what leaked of its identity key. Whether it is accepted shows when the
// letter is delivered.
func (l *lab) afterForgedStart(w *world, a action) (*world, error) {
	bundle := l.bundle(w, a.peer, w.devices[a.peer].generation)
	halves, at := w.halvesOf(a.device), l.now(w)
	name := fmt.Sprintf("forged start %d %d %d %d %+v", a.device, a.peer, halves, at, bundle.name)
	out := l.once(func() *outcome { return l.forgeStart(a, bundle, halves, at, name) }, []byte(name))
	if out.broken != nil {
		return nil, out.broken
	}
	next := *w
	next.leaks.forged[1] = true
	next.mail = w.mail.with(out.letter, onTheWay)
	e := out.letter.epoch
	next.leaks.terms = withTerms(w.leaks.terms, e.ratchet, e.kem, e.chain[0])
	return &next, nil
}

func (l *lab) forgeStart(a action, bundle *offer, halves int, at moment, name string) *outcome {
	rec := newRecorder(name)
	rec.forger = true
	s, err := pq3.Initiate(l.cast.identities[a.device][halves], l.cast.party(a.peer), bundle.Bundle(),
		pq3.InitiateOptions{Policy: l.policy()}, at.time(), rec)
	if err != nil {
		return failed("the forger cannot start: %w", err)
	}
	text := "a forged text"
	_, wire, err := s.Seal(rec, at.time(), []byte(text), nil)
	if err != nil {
		return failed("the forger cannot seal: %w", err)
	}
	f := readFields(wire)
	return &outcome{letter: l.letter(&letter{from: a.device, to: a.peer, wire: wire, parsed: must(pq3.ParseMessage(wire)),
		fields: f, text: text, epoch: l.openEpoch(nil, a.device, a.peer, f, bundle, rec), forgedWith: halves})}
}
