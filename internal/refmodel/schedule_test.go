package refmodel_test

import (
	"bytes"
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/refmodel"
	"github.com/posthorn/posthorn/pq3"
)

// A schedule is a string of operations of three bytes: what, x, y. The first
// two bytes of a schedule choose the suites and the policy. Every string is a
// schedule, so a fuzzer can write them.
const (
	opSend    = iota // x bit 0 who, bits 1-2 force; y length of the text
	opBurst          // x who; y how many texts
	opDeliver        // x which letter
	opFlush          // x bit 0: the newest first
	opDrop           // x which letter
	opReplay         // x, y which old letter
	opFlip           // x, y place of the changed bit, in the first letter
	opCut            // x how much is cut off or added; y which letter
	opForge          // x which change, y which letter; bit 7 of y: refit
	opDeviate        // x which change, y bit 0 who, bit 1 refit, bits 2-3 force
	opFrame          // x which frame, y bit 0 who
	opFlaw           // x which flaw of a sender, y bit 0 who, bits 2-3 force
	opWait           // x which step
	opRotate         // x who
	opErase          // x who loses its oldest prekey
	opRestart        // x who; y which policy
	opStart          // x bit 0 who, bits 1-3 age of the bundle, bit 4 a newer one was seen
	opBundle         // a start from a bundle with the bit at x, y changed
	opControl        // x bit 0 who, bits 1-2 type; y flipped byte, or none
	opTalk           // x changes of direction, each delivered at once
	opLength         // x bit 0 who; y which length near a limit
	opPrepare        // x who
	opCount
)

// suiteChoices are the suites that Alice's and Bob's records list. The last two
// pairs are at odds: a bundle of the wrong suite, and no suite in common.
var suiteChoices = [][2][]account.Suite{
	{{account.PQ3}, {account.PQ3}},
	{{account.PQ3A}, {account.PQ3A}},
	{{account.PQ3, account.PQ3A}, {account.PQ3, account.PQ3A}},
	{{account.PQ3}, {account.PQ3, account.PQ3A}},
	{{account.PQ3}, {account.PQ3A}},
}

const (
	second uint64 = 1000
	minute        = 60 * second
	hour          = 60 * minute
	day           = 24 * hour
)

var policies = []refmodel.Policy{
	{EveryMessages: 50, Every: day, Hard: 7 * day},
	{EveryMessages: 3, Every: day, Hard: 7 * day},
	{EveryMessages: 1, Every: hour, Hard: 2 * hour},
	{EveryMessages: 10, Every: 12 * hour, Hard: 3 * day},
	{EveryMessages: 51, Every: day, Hard: 7 * day}, // looser than allowed
	{EveryMessages: 50, Every: day + 1, Hard: 7 * day},
	{EveryMessages: 50, Every: day, Hard: 7*day + 1},
}

var steps = []uint64{
	1, second, 5 * minute, 5*minute + 1, hour, day - 1, day, 7*day - 1, 7 * day,
	14 * day, 14*day + 1, 30 * day, 30*day + 5*minute, 30*day + 5*minute + 1,
}

// play runs a schedule until its end, a difference, or its budget of messages.
func play(schedule []byte, at [2]int, flaw refmodel.Flaw, budget int) (*world, error) {
	head := append(slices.Clone(schedule[:min(2, len(schedule))]), 0, 0)
	policy := policies[int(head[1])%4]
	w, err := newWorld(at, flaw, policy, suiteChoices[int(head[0])%len(suiteChoices)])
	if err != nil {
		return w, err
	}
	w.budget = budget
	for i := 2; i+3 <= len(schedule); i += 3 {
		if err := w.step(int(schedule[i])%opCount, int(schedule[i+1]), int(schedule[i+2])); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *world) step(op, x, y int) error {
	who := x & 1
	switch op {
	case opSend:
		return w.send(who, order{text: make([]byte, y*y), force: pq3.Force(x >> 1 & 3)})
	case opBurst:
		return w.burst(who, y)
	case opDeliver, opDrop:
		return w.network(op, x, y)
	case opFlush:
		return w.deliverAll(who == 1)
	case opReplay, opFlip, opCut, opForge:
		return w.attack(op, x, y)
	case opDeviate, opFrame, opFlaw:
		return w.betray(op, x, y)
	case opWait:
		return w.wait(steps[x%len(steps)])
	case opRotate:
		return w.rotate(who)
	case opErase:
		_, err := w.agreed(who, "erases", func(s side) outcome { s.eraseOldestPrekey(); return outcome{} })
		return err
	case opPrepare:
		_, err := w.agreed(who, "prepares", func(s side) outcome { s.prepare(); return outcome{} })
		return err
	case opRestart:
		_, err := w.agreed(who, "restarts", func(s side) outcome { return s.restart(policies[y%len(policies)]) })
		return err
	case opStart, opBundle:
		return w.start(op, x, y)
	case opControl:
		return w.control(who, x>>1&3, y)
	case opTalk:
		return w.talk(x)
	}
	return w.nearLimit(who, y)
}

// wait lets time pass, and looks at what that does to the sessions.
func (w *world) wait(ms uint64) error {
	w.now += ms
	for who := range w.ends {
		if _, err := w.agreed(who, "waits", func(side) outcome { return outcome{} }); err != nil {
			return err
		}
	}
	return nil
}

// burst sends texts that nobody receives yet.
func (w *world) burst(who, count int) error {
	for range count {
		w.now += second
		if err := w.send(who, order{text: []byte("one of many")}); err != nil {
			return err
		}
	}
	return nil
}

// talk changes direction, each text delivered at once.
func (w *world) talk(times int) error {
	for i := range times {
		w.now += second
		if err := w.send(i&1, order{text: []byte("by turns")}); err != nil {
			return err
		}
		if err := w.deliverAll(false); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) network(op, x, y int) error {
	if len(w.way) == 0 {
		return nil
	}
	i := x % len(w.way)
	if y&1 == 1 {
		i = len(w.way) - 1 - i
	}
	l := w.take(i)
	if op == opDrop {
		w.old = append(w.old, l)
		return nil
	}
	return w.deliver(l)
}

// attack delivers what somebody without session secrets can make of a letter.
func (w *world) attack(op, x, y int) error {
	l, ok := w.any(y & 31)
	if op == opReplay {
		l, ok = w.any(x<<8 | y)
	}
	if op == opFlip {
		l, ok = w.any(0)
	}
	if !ok {
		return nil
	}
	wire := bytes.Clone(l.wire)
	switch op {
	case opFlip:
		place := (x<<8 | y) % (8 * min(len(wire), 4000))
		wire[place/8] ^= 1 << (place % 8)
	case opCut:
		wire = wire[:max(0, len(wire)-x)]
		if x&1 == 1 {
			wire = append(wire, make([]byte, 2*x)...)
		}
	case opForge:
		wire = w.forge(wire, l.to, x, refit(y>>5))
	}
	return w.deliver(letter{l.to, wire})
}

func (w *world) forge(wire []byte, to, change int, fit refmodel.Refit) []byte {
	m, err := refmodel.Parse(wire)
	if err != nil {
		return wire
	}
	if change%(len(changes)+1) == len(changes) {
		m.Signature = refmodel.HighS(m.Signature)
		return m.Bytes()
	}
	return refmodel.Forge(w.owns[1-to], &w.owns[to].Device, m, fit, changes[change%(len(changes)+1)])
}

// refit reads three bits.
func refit(bits int) refmodel.Refit {
	return refmodel.Refit{SID: bits&1 != 0, PQSig: bits&2 != 0, Odig: bits&4 != 0}
}

// betray delivers what somebody with a copy of the sender's state can seal.
func (w *world) betray(op, x, y int) error {
	who := y & 1
	var d refmodel.Deviation
	switch op {
	case opDeviate:
		d.Message = func(m *refmodel.Message) {
			changes[x%len(changes)](m)
			refit(y>>3).Apply(m, w.owns[who], &w.owns[1-who].Device)
		}
	case opFrame:
		d.Frame = frames[x%len(frames)]
	case opFlaw:
		d.Flaw = refmodel.Flaws()[x%len(refmodel.Flaws())]
	}
	wish := refmodel.Wish{Advertise: y&2 != 0, Objects: y&4 != 0}
	if y&128 != 0 {
		for _, s := range w.ends[1-who].sides {
			defer s.mark()()
		}
	}
	return w.deviate(who, d, wish, "against the rules")
}

// start begins a session although there may be one.
func (w *world) start(op, x, y int) error {
	who := x & 1
	peer := w.ends[1-who]
	o := order{fresh: true, text: []byte("afresh"), bundle: bytes.Clone(peer.newest(x >> 1 & 7))}
	if op == opStart && x&16 != 0 {
		o.seenNotBefore = w.now
	}
	if op == opBundle {
		o.bundle = bytes.Clone(peer.newest(0))
		place := (x<<8 | y) % len(o.bundle)
		o.bundle[place] ^= 1 << (y & 7)
	}
	return w.send(who, o)
}

// control seals a note about some letter and delivers it, changed or not.
func (w *world) control(who, kind, y int) error {
	about, ok := w.any(0)
	if !ok {
		return nil
	}
	sealed, err := w.agreed(who, "notes", func(s side) outcome { return s.control(w.now, about.wire, byte(kind)) })
	if err != nil || sealed.refused != "" {
		return err
	}
	wire := []byte(sealed.bytes)
	if y > 0 && y < 128 {
		wire[y-1] ^= 1
	}
	at := w.now
	if y >= 128 {
		at += []uint64{day, day + 1}[y&1]
	}
	_, err = w.agreed(1-who, "reads a note", func(s side) outcome { return s.openControl(at, wire) })
	return err
}

// nearLimit seals texts whose message is near a bound of its size.
func (w *world) nearLimit(who, y int) error {
	lengths := []int{
		0, 1, 124, 125, 4096 - 4 - 64, 4096 - 4, 4096 - 3, 65536, 122880 - 4, 126976 - 4, 126976 - 3,
		129024 - 4, 131072 - 156 - 4, 131072 - 4, 131072,
	}
	associated := []int{0, 1, 1023, 1024, 1025}[y>>4%5]
	return w.send(who, order{
		text:       bytes.Repeat([]byte{'x'}, lengths[y&15%len(lengths)]),
		associated: make([]byte, associated),
	})
}
