package explorer

import (
	"bytes"
	"slices"
)

// world is one state of a scene.
type world struct {
	halves  [2 * maxDevices]*half // by device and the peer's place in its pair
	devices [maxDevices]device
	clock   uint8 // steps of time taken
	mail    mail
	leaks   leaks
}

// device is what a device has besides its halves.
type device struct {
	generation uint8 // of the newest bundle
	oldest     uint8 // the oldest bundle whose private half exists
	made       [4]uint8
	forged     bool  // the directory serves a forger's bundle in its place,
	forgedAt   uint8 // made after so many steps of time
	texts      uint8 // sent so far
}

// status is where a letter is.
type status uint8

const (
	onTheWay status = iota
	delivered
	dropped
	stored // sealed and stored by its sender, who crashed before sending it
)

// post is one letter and where it is.
type post struct {
	*letter
	at status
}

// mail are all letters of a state, in order of key.
type mail []post

// leaks are what the attacker was given.
type leaks struct {
	terms   []*term // the bytes that were found, in order
	duties  []*term // what a leak of that kind gives by SPEC, in order
	count   uint8   // leaks of the scene's budget
	quantum bool
	halves  [maxDevices]uint8 // of identity keys
	forged  [2]bool           // a bundle, a start
}

func slot(me, peer int) int { return 2*me + peer%2 }

func (w *world) half(me, peer int) *half { return w.halves[slot(me, peer)] }

// hash is the canonical hash. The number of leaks is not part of it: what
// leaked is, and the search meets each state by its fewest steps first.
func (w *world) hash() digest {
	b := make([]byte, 0, 512)
	for _, h := range w.halves {
		if h != nil {
			b = append(b, h.key[:]...)
		}
	}
	for _, d := range w.devices {
		b = append(b, d.generation, d.oldest, bit(d.forged), d.forgedAt, d.texts)
		b = append(b, d.made[:]...)
	}
	b = append(b, w.clock)
	for _, p := range w.mail {
		b = append(append(b, p.key[:]...), byte(p.at))
	}
	b = append(b, 0xff)
	for _, t := range w.leaks.terms {
		b = append(b, t.order[:]...)
	}
	b = append(b, 0xff)
	for _, t := range w.leaks.duties {
		b = append(b, t.order[:]...)
	}
	b = append(b, bit(w.leaks.quantum), bit(w.leaks.forged[0]), bit(w.leaks.forged[1]))
	b = append(b, w.leaks.halves[:]...)
	return digestOf(b)
}

// with adds a letter, or moves it.
func (m mail) with(l *letter, at status) mail {
	i, found := slices.BinarySearchFunc(m, l, func(p post, l *letter) int { return byKey(p.letter, l) })
	if found {
		moved := slices.Clone(m)
		moved[i].at = at
		return moved
	}
	return slices.Insert(slices.Clone(m), i, post{l, at})
}

func (m mail) count(at ...status) (n int) {
	for _, p := range m {
		n += int(bit(slices.Contains(at, p.at)))
	}
	return n
}

// seen reports whether an observer of the wire has a letter.
func (p post) seen() bool { return p.at != stored }

// withTerms adds terms to a sorted list.
func withTerms(list []*term, more ...*term) []*term {
	out := slices.Clone(list)
	for _, t := range more {
		if i, found := slices.BinarySearchFunc(out, t, byOrder); !found {
			out = slices.Insert(out, i, t)
		}
	}
	return out
}

func hasTerm(list []*term, t *term) bool {
	_, found := slices.BinarySearchFunc(list, t, byOrder)
	return found
}

func byOrder(a, b *term) int { return bytes.Compare(a.order[:], b.order[:]) }

// begin is the state in which nothing has happened.
func (l *lab) begin() *world {
	w := &world{}
	for _, me := range l.devices() {
		for _, peer := range l.peers(me) {
			w.halves[slot(me, peer)] = l.newHalf(me, peer)
		}
	}
	return w
}

// devices are those of the scene.
func (l *lab) devices() (out []int) {
	for d := range maxDevices {
		if d%2 < l.Devices[person(d)] {
			out = append(out, d)
		}
	}
	return out
}

// peers are the devices of the other person.
func (l *lab) peers(me int) []int {
	return slices.DeleteFunc(l.devices(), func(d int) bool { return person(d) == person(me) })
}

// now is the time of a state.
func (l *lab) now(w *world) moment { return l.clockAt(w.clock) }

func (l *lab) clockAt(steps uint8) (m moment) {
	for _, step := range l.Clock[:steps] {
		m += after(step)
	}
	return m
}

// bundle is one generation of a device's own bundles.
func (l *lab) bundle(w *world, d int, generation uint8) *offer {
	return l.offer(offerName{owner: d, generation: int(generation), halves: bothHalves, at: l.clockAt(w.devices[d].made[generation])})
}

// served is what the directory answers when somebody asks for a device.
func (l *lab) served(w *world, d int) *offer {
	if w.devices[d].forged {
		return l.offer(offerName{owner: d, halves: bothHalves, forged: true, at: l.clockAt(w.devices[d].forgedAt)})
	}
	return l.bundle(w, d, w.devices[d].generation)
}

// held are the bundles whose private half a device still has.
func (l *lab) held(w *world, d int) (out []*offer) {
	for g := w.devices[d].oldest; g <= w.devices[d].generation; g++ {
		out = append(out, l.bundle(w, d, g))
	}
	return out
}

// halvesOf are the halves of an identity key that the attacker can use: those
// that leaked, and the classical one of everybody once there is a quantum
// computer.
func (w *world) halvesOf(d int) int {
	if w.leaks.quantum {
		return int(w.leaks.halves[d]) | halfECDSA
	}
	return int(w.leaks.halves[d])
}
