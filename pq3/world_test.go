package pq3_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// chance makes the choices of a world and hears its verdicts: a property test
// draws them, a fuzz target reads them from its input.
type chance interface {
	below(n int, what string) int
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// letter is a message on its way.
type letter struct {
	to     *pq3test.Endpoint
	wire   []byte
	text   string
	sealed time.Time
}

func (l letter) session() (id pq3.SessionID) {
	copy(id[:], l.wire[2:])
	return id
}

// longestWay is how old a letter can get. A key waits 14 days for its message,
// so what is younger must open.
const longestWay = 13 * 24 * time.Hour

// world is two devices and a network that loses, doubles and reorders. Every
// operation checks invariants I1 to I5, I7 and I9.
type world struct {
	chance
	alice, bob *pq3test.Endpoint
	now        time.Time
	way        []letter
	opened     []letter
	sealed     map[string]string // position → bytes, to see that none is used twice
	shown      map[string]bool   // texts that have arrived
	knew       map[string]bool   // sessions that an end has had
	loss       int               // percent
}

func newWorld(c chance, fresh func(name string, policy pq3.Policy, suite account.Suite) *pq3test.Endpoint) *world {
	policy := pq3.Policy{EveryMessages: []int{1, 3, 10, 50}[c.below(4, "interval")]}
	suite := bothSuites[c.below(2, "suite")]
	return &world{
		chance: c, now: pq3test.Now, sealed: map[string]string{}, shown: map[string]bool{}, knew: map[string]bool{},
		loss:  c.below(31, "loss"),
		alice: fresh("alice", policy, suite), bob: fresh("bob", policy, suite),
	}
}

// operations are what can happen in a world, in a fixed order.
var operations = []struct {
	name string
	do   func(*world)
}{
	{"alice sends", func(w *world) { w.send(w.alice) }},
	{"bob sends", func(w *world) { w.send(w.bob) }},
	{"deliver", (*world).receive},
	{"deliver all", (*world).receiveAll},
	{"lose", (*world).lose},
	{"replay", (*world).replay},
	{"tamper", (*world).tamper},
	{"alice restarts", func(w *world) { w.restart(w.alice) }},
	{"bob restarts", func(w *world) { w.restart(w.bob) }},
	{"alice prepares", func(w *world) { w.prepare(w.alice) }},
	{"bob prepares", func(w *world) { w.prepare(w.bob) }},
	{"rotate", (*world).rotate},
	{"wait", (*world).wait},
}

func (w *world) peer(of *pq3test.Endpoint) *pq3test.Endpoint {
	if of == w.alice {
		return w.bob
	}
	return w.alice
}

// send seals one text. I3: no position is sealed twice. I9: never under a KEM
// secret of seven days or more.
func (w *world) send(from *pq3test.Endpoint) {
	w.now = w.now.Add(time.Second)
	text := fmt.Sprintf("text %d", len(w.sealed))
	before := secretsOf(from)
	wire, err := from.Send(w.peer(from), w.now, text, pq3.Force(max(0, w.below(12, "force")-8)))
	if err != nil {
		w.Fatalf("seal: %v", err)
	}
	position := string(wire[2:18])
	if _, ok := w.sealed[position]; ok {
		w.Fatalf("I3: position %x sealed twice", position)
	}
	w.sealed[position] = string(wire)
	if s := from.Sessions.Sending(); w.now.Sub(s.Status(w.now).RekeyDue) > 6*24*time.Hour {
		w.Fatal("I9: sealed under a KEM secret of more than seven days")
	}
	w.retire(from, before)
	l := letter{w.peer(from), wire, text, w.now}
	w.note(from, l)
	if w.below(100, "luck") >= w.loss {
		w.way = append(w.way, l)
	}
}

// receive delivers one of the next six letters.
func (w *world) receive() {
	if len(w.way) == 0 {
		return
	}
	i := w.below(min(6, len(w.way)), "letter")
	l := w.way[i]
	w.way = slices.Delete(w.way, i, i+1)
	w.open(l)
}

func (w *world) receiveAll() {
	for len(w.way) > 0 {
		w.receive()
	}
}

func (w *world) lose() {
	if len(w.way) > 0 {
		w.way = w.way[1:]
	}
}

// open checks I1: what arrives is what was sent, once, whatever else arrived
// with it.
func (w *world) open(l letter) {
	before := secretsOf(l.to)
	texts, err := l.to.Receive(w.peer(l.to), w.now, l.wire)
	if w.outlived(l) {
		return
	}
	if err != nil {
		w.Fatalf("I1: a genuine message is refused: %v", err)
	}
	if len(texts) > 0 && texts[0] != l.text {
		w.Fatalf("I1: %q arrived as %q", l.text, texts[0])
	}
	for _, text := range texts {
		if w.shown[text] {
			w.Fatalf("I3: %q arrived twice", text)
		}
		w.shown[text] = true
	}
	if len(texts) > 0 {
		w.opened = append(w.opened, l)
		w.note(l.to, l)
	}
	w.retire(l.to, before)
	w.checkEnds()
}

// note remembers that an end has had the session of a letter.
func (w *world) note(e *pq3test.Endpoint, l letter) { w.knew[w.nameOf(e)+l.session().String()] = true }

func (w *world) nameOf(e *pq3test.Endpoint) string {
	if e == w.alice {
		return "alice"
	}
	return "bob"
}

// outlived reports whether a letter is of a session that its recipient has had
// and dropped: of four sessions the oldest goes.
func (w *world) outlived(l letter) bool {
	return w.knew[w.nameOf(l.to)+l.session().String()] && l.to.Sessions.Find(l.session()) == nil
}

// replay delivers something old. I3 and I4: refused, and nothing changes.
func (w *world) replay() {
	if len(w.opened) == 0 {
		return
	}
	w.refused(w.opened[w.below(min(256, len(w.opened)), "old letter")], func(wire []byte) []byte { return wire })
}

// tamper delivers a letter with one bit changed. I4 again.
func (w *world) tamper() {
	if len(w.way) == 0 {
		return
	}
	w.refused(w.way[0], func(wire []byte) []byte {
		bad := bytes.Clone(wire)
		bad[w.below(len(bad), "byte")] ^= 1 << w.below(8, "bit")
		return bad
	})
}

func (w *world) refused(l letter, change func([]byte) []byte) {
	before := l.to.Fingerprint()
	if texts, err := l.to.Receive(w.peer(l.to), w.now, change(l.wire)); err == nil {
		w.Fatalf("I3, I4: %q, used up or changed, is accepted: %v", l.text, texts)
	}
	if l.to.Fingerprint() != before {
		w.Fatal("I4: a refusal changed the state")
	}
}

// restart reads all state back from its stored form.
func (w *world) restart(e *pq3test.Endpoint) {
	before := e.Fingerprint()
	if err := e.Restore(w.peer(e)); err != nil {
		w.Fatal(err)
	}
	if e.Fingerprint() != before {
		w.Fatal("a restart changed the state")
	}
}

// prepare makes the next step ahead of time. It shows in no stored form.
func (w *world) prepare(e *pq3test.Endpoint) {
	s := e.Sessions.Sending()
	if s == nil {
		return
	}
	before := e.Fingerprint()
	prepared, err := s.Prepare(e.Ent)
	if err != nil {
		w.Fatal(err)
	}
	if e.Sessions, _ = e.Sessions.With(prepared); e.Fingerprint() != before {
		w.Fatal("preparation changed the stored state")
	}
}

func (w *world) rotate() {
	w.alice.Rotate(w.now)
	w.bob.Rotate(w.now)
}

// wait lets most of a day pass. Letters that are too old are lost.
func (w *world) wait() {
	w.now = w.now.Add(20 * time.Hour)
	w.rotate()
	w.way = slices.DeleteFunc(w.way, func(l letter) bool { return w.now.Sub(l.sealed) > longestWay })
}

// checkEnds holds the two ends against each other. I1: equal epochs have equal
// roots. I2: epochs differ by at most one. I5: a KEM key is outstanding only
// while this device is the sender.
func (w *world) checkEnds() {
	for _, a := range w.alice.Sessions {
		b := w.bob.Sessions.Find(a.ID())
		if b == nil {
			continue
		}
		if d := int(a.Epoch()) - int(b.Epoch()); d < -1 || d > 1 {
			w.Fatalf("I2: epochs %d and %d", a.Epoch(), b.Epoch())
		}
		if a.Epoch() == b.Epoch() && (pq3.RootKey(a) != pq3.RootKey(b) || a.Sending() == b.Sending()) {
			w.Fatal("I1: one epoch, two root keys or two senders")
		}
		if a.AwaitsAnswer() && !a.Sending() || b.AwaitsAnswer() && !b.Sending() {
			w.Fatal("I5: a KEM key is outstanding in the receiver's role")
		}
	}
}

func secretsOf(e *pq3test.Endpoint) map[string][]byte {
	all := map[string][]byte{}
	for _, s := range e.Sessions {
		for name, key := range pq3.Secrets(s) {
			all[s.ID().String()+name] = key
		}
	}
	return all
}

// retire checks I7: a secret that a step replaced is nowhere in the stored
// state any more.
func (w *world) retire(e *pq3test.Endpoint, before map[string][]byte) {
	after, stored := secretsOf(e), []byte(e.Fingerprint())
	for name, key := range before {
		if !bytes.Equal(after[name], key) && bytes.Contains(stored, key) {
			w.Fatalf("I7: a replaced secret is still stored: %s", name[16:])
		}
	}
}

// heal: without loss a text in each direction arrives within a few messages,
// because objects are carried again on the second, fourth and eighth.
func (w *world) heal() {
	w.loss = 0
	w.way = nil
	for _, from := range []*pq3test.Endpoint{w.alice, w.bob, w.alice, w.bob} {
		if err := w.getThrough(from); err != nil {
			w.Fatal(err)
		}
	}
}

var errStuck = errors.New("the session is stuck")

func (w *world) getThrough(from *pq3test.Endpoint) error {
	before := len(w.opened)
	for range 512 {
		w.send(from)
		w.open(w.way[len(w.way)-1])
		if len(w.opened) > before {
			return nil
		}
	}
	return errStuck
}
