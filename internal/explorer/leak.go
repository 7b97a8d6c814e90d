package explorer

import "slices"

// leak is one thing that an attacker can be given.
type leak struct {
	name   string
	kind   LeakKinds
	device int
	halves uint8   // of the device's identity key
	found  []*term // in the bytes that the device really has
	duties []*term // that SPEC says it has
}

// added gives a leak to the attacker.
func (k *leak) added(before leaks) leaks {
	next := before
	next.count++
	next.halves[k.device] |= k.halves
	next.terms = withTerms(before.terms, k.found...)
	next.duties = withTerms(before.duties, k.duties...)
	return next
}

// leaksOf lists the leaks that would tell the attacker something new.
func (l *lab) leaksOf(w *world) (out []*leak) {
	add := func(k *leak) {
		isNew := uint8(k.halves)&^w.leaks.halves[k.device] != 0
		for _, t := range slices.Concat(k.found, k.duties) {
			isNew = isNew || !hasTerm(w.leaks.terms, t)
		}
		if isNew && l.Kinds&k.kind != 0 {
			out = append(out, k)
		}
	}
	one := func(device int, kind LeakKinds, t *term) {
		add(&leak{name: t.name + " at " + names[device], kind: kind, device: device, found: []*term{t}, duties: []*term{t}})
	}
	for _, d := range l.devices() {
		add(&leak{name: "the ECDSA identity key of " + names[d], kind: LeakIdentity, device: d, halves: halfECDSA})
		add(&leak{name: "the ML-DSA identity key of " + names[d], kind: LeakIdentity, device: d, halves: halfMLDSA})
		whole := &leak{name: "the whole state of " + names[d], kind: LeakState, device: d}
		for _, o := range l.held(w, d) {
			one(d, LeakPrekeyECDH, o.ecdh)
			one(d, LeakPrekeyKEM, o.kem)
			whole.found = append(whole.found, o.ecdh, o.kem)
			whole.duties = append(whole.duties, o.ecdh, o.kem)
		}
		for _, peer := range l.peers(d) {
			h := w.half(d, peer)
			whole.found = append(whole.found, h.holds...)
			for i := range h.shades {
				parts := h.shades[i].mayHold()
				whole.duties = append(whole.duties, parts...)
				for _, t := range parts {
					one(d, leakKindOf[t.kind], t)
				}
			}
		}
		add(whole)
	}
	for _, p := range w.mail {
		one(p.from, LeakMessageKey, p.messageKey())
	}
	return out
}

// leakKindOf says under which leak a stored secret falls.
var leakKindOf = map[kind]LeakKinds{
	ratchetPrivate: LeakRatchetKey,
	kemSeed:        LeakKEMSeed,
	rootKey:        LeakRootKey,
	chainKey:       LeakChainKey,
	messageKey:     LeakMessageKey,
}
