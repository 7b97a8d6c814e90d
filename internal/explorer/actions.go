package explorer

import (
	"fmt"
	"slices"
)

// verb is what can happen next.
type verb uint8

const (
	sends verb = iota
	sendsForced
	crashesAfterStoring // seals, stores, and crashes before anything leaves
	transmits           // sends what was stored before a crash
	delivers
	crashesReceiving // opens and crashes before the result is stored
	repeats          // delivers a letter again
	alters           // a forger changes it and signs it again
	misdirects       // hands a letter to everybody else, under everybody else's name
	drops
	renewsBundle
	erasesBundle
	advances // the clock
	leaking
	builds // a quantum computer
	forgesBundle
	forgesStart
)

// action is one step: a verb, a device, and a letter or a leak.
type action struct {
	verb   verb
	device int
	peer   int
	letter *letter
	leak   *leak
}

func (a action) String() string {
	d := names[a.device]
	switch a.verb {
	case sends:
		return d + " sends a text"
	case sendsForced:
		return d + " sends a text that advertises a KEM key"
	case crashesAfterStoring:
		return d + " seals a text and crashes"
	case transmits:
		return d + " sends the stored " + a.letter.String()
	case delivers:
		return "delivered: " + a.letter.String()
	case crashesReceiving:
		return d + " crashes while it receives " + a.letter.String()
	case repeats:
		return "delivered again: " + a.letter.String()
	case alters:
		return "changed and signed again by a forger: " + a.letter.String()
	case misdirects:
		return "handed to the wrong devices: " + a.letter.String()
	case drops:
		return "lost: " + a.letter.String()
	case renewsBundle:
		return d + " publishes a new bundle"
	case erasesBundle:
		return d + " erases the private half of its oldest bundle"
	case advances:
		return "time passes"
	case leaking:
		return "leaked: " + a.leak.name
	case builds:
		return "a quantum computer is built"
	case forgesBundle:
		return "a bundle in the name of " + d + " is forged with what leaked of its identity key"
	case forgesStart:
		return fmt.Sprintf("a session start from %s to %s is forged with what leaked of the identity key", d, names[a.peer])
	}
	panic("explorer: an action without a name")
}

// actions lists all that can happen in a state, in an order that depends on
// the state alone.
func (l *lab) actions(w *world) (out []action) {
	for _, d := range l.devices() {
		out = append(out, l.textsOf(w, d)...)
	}
	lost := w.mail.count(dropped, stored) < l.Lost
	for _, p := range w.mail {
		one := action{device: p.to, letter: p.letter}
		with := func(v verb) { one.verb = v; out = append(out, one) }
		if l.Misdirect && p.seen() {
			with(misdirects)
		}
		if l.Forge && l.tagged() && p.at == onTheWay && p.forgedWith == 0 && w.halvesOf(p.from)&halfECDSA != 0 {
			with(alters)
		}
		switch p.at {
		case stored:
			one.device = p.from
			with(transmits)
		case onTheWay:
			with(delivers)
			with(crashesReceiving)
			if lost {
				with(drops)
			}
		default:
			with(repeats)
		}
	}
	out = append(out, l.bundleActions(w)...)
	if int(w.clock) < len(l.Clock) {
		out = append(out, action{verb: advances})
	}
	if l.Quantum && !w.leaks.quantum {
		out = append(out, action{verb: builds})
	}
	if int(w.leaks.count) < l.Leaks {
		for _, k := range l.leaksOf(w) {
			out = append(out, action{verb: leaking, device: k.device, leak: k})
		}
	}
	return append(out, l.forgeries(w)...)
}

// textsOf are the ways in which a device can send its person's next text.
func (l *lab) textsOf(w *world, d int) (out []action) {
	sent := 0
	for _, other := range l.devices() {
		if person(other) == person(d) {
			sent += int(w.devices[other].texts)
		}
	}
	if sent >= l.Sends[person(d)] {
		return nil
	}
	out = append(out, action{verb: sends, device: d})
	opens := func(peer int) bool {
		s := w.half(d, peer).sessions.Sending()
		return s != nil && !s.Sending() && !s.RekeyDue(l.now(w).time()) && s.Epoch() > 0
	}
	if l.Force && slices.ContainsFunc(l.peers(d), opens) {
		out = append(out, action{verb: sendsForced, device: d})
	}
	if w.mail.count(dropped, stored)+len(l.peers(d)) <= l.Lost {
		out = append(out, action{verb: crashesAfterStoring, device: d})
	}
	return out
}

func (l *lab) bundleActions(w *world) (out []action) {
	for _, d := range l.devices() {
		if person(d) == 1 && int(w.devices[d].generation) < l.Renewed {
			out = append(out, action{verb: renewsBundle, device: d})
		}
		if w.devices[d].oldest < w.devices[d].generation {
			out = append(out, action{verb: erasesBundle, device: d})
		}
	}
	return out
}

func (l *lab) forgeries(w *world) (out []action) {
	if !l.Forge {
		return nil
	}
	for _, d := range l.devices() {
		if w.halvesOf(d) == 0 {
			continue
		}
		if !w.leaks.forged[0] {
			out = append(out, action{verb: forgesBundle, device: d})
		}
		if w.leaks.forged[1] {
			continue
		}
		for _, peer := range l.peers(d) {
			out = append(out, action{verb: forgesStart, device: d, peer: peer})
		}
	}
	return out
}

// after is the state that an action leads to. The same state is returned when
// nothing changes. An error is a broken promise.
func (l *lab) after(w *world, a action) (*world, error) {
	next := *w
	switch a.verb {
	case sends, sendsForced, crashesAfterStoring:
		return l.afterText(w, a)
	case transmits:
		next.mail = w.mail.with(a.letter, onTheWay)
	case delivers, crashesReceiving, repeats:
		return l.afterReceipt(w, a)
	case alters:
		return w, l.altered(w, a.letter)
	case misdirects:
		return w, l.misdirected(w, a.letter)
	case drops:
		next.mail = w.mail.with(a.letter, dropped)
	case renewsBundle:
		d := &next.devices[a.device]
		d.generation++
		d.made[d.generation] = w.clock
		d.forged = false
	case erasesBundle:
		next.devices[a.device].oldest++
	case advances:
		return l.afterClock(w)
	case leaking:
		next.leaks = a.leak.added(w.leaks)
	case builds:
		next.leaks.quantum = true
	case forgesBundle:
		return l.afterForgedBundle(w, a)
	case forgesStart:
		return l.afterForgedStart(w, a)
	}
	return &next, nil
}

// afterText seals a text for each device of the other person.
func (l *lab) afterText(w *world, a action) (*world, error) {
	next := *w
	d := &next.devices[a.device]
	d.texts++
	for _, peer := range l.peers(a.device) {
		out := l.seal(w.half(a.device, peer), sealing{
			offer: l.served(w, peer), at: l.now(w), halves: w.halvesOf(peer), force: a.verb == sendsForced,
			text: fmt.Sprintf("text %d from %s to %s", d.texts, names[a.device], names[peer])})
		if out.broken != nil {
			return nil, out.broken
		}
		if out.refusal != nil {
			return nil, fmt.Errorf("%s cannot send: %w", names[a.device], out.refusal)
		}
		if err := next.keyUsedOnce(out.letter); err != nil {
			return nil, err
		}
		where := onTheWay
		if a.verb == crashesAfterStoring && l.fault != sendsBeforeStoring {
			where = stored
		}
		next.mail = next.mail.with(out.letter, where)
		if a.verb != crashesAfterStoring || l.fault != sendsBeforeStoring {
			next.halves[slot(a.device, peer)] = out.next
		}
	}
	return &next, nil
}

// keyUsedOnce is I3: no two messages under one key.
func (w *world) keyUsedOnce(m *letter) error {
	for _, p := range w.mail {
		if p.letter != m && p.messageKey() == m.messageKey() {
			return fmt.Errorf("I3: %s encrypts two messages", m.messageKey().name)
		}
	}
	return nil
}

// afterReceipt hands a letter to its recipient.
func (l *lab) afterReceipt(w *world, a action) (*world, error) {
	m := a.letter
	h := w.half(m.to, m.from)
	out := l.receive(h, arrival{letter: m, at: l.now(w), held: l.held(w, m.to), halves: w.halvesOf(m.from)})
	if out.broken != nil {
		return nil, out.broken
	}
	if out.refusal != nil && out.next != h {
		return nil, fmt.Errorf("I4: the refusal of %s changes what %s has stored: %w", m, names[m.to], out.refusal)
	}
	if a.verb == crashesReceiving {
		if l.fault == showsBeforeStoring && len(out.read) > 0 {
			next := *w
			shown := *h
			shown.received = withLetter(h.received, m)
			settled, err := l.settle(&shown)
			next.halves[slot(m.to, m.from)] = settled
			return &next, err
		}
		return w, nil
	}
	if a.verb == repeats && out.next == h {
		return w, nil
	}
	next := *w
	next.halves[slot(m.to, m.from)] = out.next
	if a.verb == delivers {
		next.mail = w.mail.with(m, delivered)
	}
	return &next, nil
}

// misdirected hands a letter to every half but the one that it is for. All
// refuse it and nothing changes.
func (l *lab) misdirected(w *world, m *letter) error {
	for _, h := range w.halves {
		if h == nil || h.me == m.to && h.peer == m.from {
			continue
		}
		out := l.receive(h, arrival{letter: m, at: l.now(w), held: l.held(w, h.me)})
		if out.broken != nil {
			return out.broken
		}
		if out.refusal == nil || out.next != h {
			return fmt.Errorf("%s, taken for %s's, is not refused by %s", m, names[h.peer], names[h.me])
		}
	}
	return nil
}

// afterClock lets the next step of time pass.
func (l *lab) afterClock(w *world) (*world, error) {
	next := *w
	next.clock++
	for i, h := range w.halves {
		if h == nil {
			continue
		}
		out := l.expire(h, l.now(&next))
		if out.broken != nil {
			return nil, out.broken
		}
		next.halves[i] = out.next
	}
	return &next, nil
}
