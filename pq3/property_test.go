package pq3_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// letter is a message on its way.
type letter struct {
	to   *pq3test.Endpoint
	wire []byte
	text string
}

// world is two devices and a network that loses, doubles and reorders.
type world struct {
	*rapid.T
	alice, bob *pq3test.Endpoint
	now        time.Time
	way        []letter
	opened     []letter
	sealed     map[string]string // position → bytes, to see that none is used twice
	loss       int               // percent
}

func newWorld(t *rapid.T) *world {
	policy := pq3.Policy{EveryMessages: rapid.SampledFrom([]int{1, 3, 10, 50}).Draw(t, "interval")}
	suite := rapid.SampledFrom(bothSuites).Draw(t, "suite")
	return &world{
		T: t, now: pq3test.Now, sealed: map[string]string{}, loss: rapid.IntRange(0, 30).Draw(t, "loss"),
		alice: pq3test.NewEndpoint("alice", policy, suite), bob: pq3test.NewEndpoint("bob", policy, suite),
	}
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
	wire, err := from.Send(w.peer(from), w.now, text, 0)
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
	if rapid.IntRange(1, 100).Draw(w.T, "luck") > w.loss {
		w.way = append(w.way, letter{w.peer(from), wire, text})
	}
}

// receive delivers one of the next six letters.
func (w *world) receive() {
	if len(w.way) == 0 {
		return
	}
	i := rapid.IntRange(0, min(5, len(w.way)-1)).Draw(w.T, "letter")
	l := w.way[i]
	w.way = slices.Delete(w.way, i, i+1)
	w.open(l)
}

// open checks I1: what arrives is what was sent, whatever else arrived with it.
func (w *world) open(l letter) {
	before := secretsOf(l.to)
	texts, err := l.to.Receive(w.peer(l.to), w.now, l.wire)
	if err != nil {
		w.Fatalf("I1: a genuine message is refused: %v", err)
	}
	if len(texts) > 0 && texts[0] != l.text {
		w.Fatalf("I1: %q arrived as %q", l.text, texts[0])
	}
	if len(texts) > 0 {
		w.opened = append(w.opened, l)
	}
	w.retire(l.to, before)
	w.checkEnds()
}

// replay delivers something old. I3 and I4: refused, and nothing changes.
func (w *world) replay() {
	if len(w.opened) == 0 {
		return
	}
	l := rapid.SampledFrom(w.opened).Draw(w.T, "old letter")
	before := l.to.Fingerprint()
	if texts, err := l.to.Receive(w.peer(l.to), w.now, l.wire); err == nil {
		w.Fatalf("I3: %q accepted twice: %v", l.text, texts)
	}
	if l.to.Fingerprint() != before {
		w.Fatal("I4: a refusal changed the state")
	}
}

// tamper delivers a letter with one bit changed. I4 again.
func (w *world) tamper() {
	if len(w.way) == 0 {
		return
	}
	l := w.way[0]
	bad := bytes.Clone(l.wire)
	bad[rapid.IntRange(0, len(bad)-1).Draw(w.T, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(w.T, "bit")
	before := l.to.Fingerprint()
	if _, err := l.to.Receive(w.peer(l.to), w.now, bad); err == nil || l.to.Fingerprint() != before {
		w.Fatalf("I4: a changed message: %v", err)
	}
}

// restart reads all state back from its stored form.
func (w *world) restart() {
	for _, e := range []*pq3test.Endpoint{w.alice, w.bob} {
		if err := e.Restore(w.peer(e)); err != nil {
			w.Fatal(err)
		}
	}
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

// TestTwoPartiesUnderAnySchedule is the property behind all others: invariants
// I1 to I5, I7 and I9 under loss, reordering, repetition, crossing and restarts.
// At the end the network heals and a conversation works.
func TestTwoPartiesUnderAnySchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"alice sends": func(*rapid.T) { w.send(w.alice) },
			"bob sends":   func(*rapid.T) { w.send(w.bob) },
			"deliver":     func(*rapid.T) { w.receive() },
			"deliver all": func(*rapid.T) {
				for len(w.way) > 0 {
					w.receive()
				}
			},
			"replay":  func(*rapid.T) { w.replay() },
			"tamper":  func(*rapid.T) { w.tamper() },
			"restart": func(*rapid.T) { w.restart() },
			"wait": func(*rapid.T) {
				w.now = w.now.Add(20 * time.Hour)
				w.alice.Rotate(w.now)
				w.bob.Rotate(w.now)
			},
		})
		w.heal()
	})
}

// heal: without loss a text in each direction arrives within a few messages,
// because objects are carried again on the second, fourth and eighth.
func (w *world) heal() {
	w.loss = 0
	w.way = nil
	for _, from := range []*pq3test.Endpoint{w.alice, w.bob, w.alice, w.bob} {
		before := len(w.opened)
		for range 512 {
			w.send(from)
			w.open(w.way[len(w.way)-1])
			if len(w.opened) > before {
				break
			}
		}
		if len(w.opened) == before {
			w.Fatal("the session is stuck")
		}
	}
}

// TestHealingContract: a KEM rekey completes in the number of messages that
// the policy states, with one reply for each message.
func TestHealingContract(t *testing.T) {
	for _, every := range []int{1, 3, 10, 50} {
		p := newPair(t, pq3.Policy{EveryMessages: every}, account.PQ3A)
		p.talk(2)
		start := p.alice.Sessions.Sending().Status(p.now).KEMRekeys
		p.talk(every + 2)
		done := p.alice.Sessions.Sending().Status(p.now).KEMRekeys - start
		if want := 2 * (every + 2) / (every + 2); done < want-1 || done < 1 {
			t.Errorf("interval %d: %d rekeys in %d messages", every, done, 2*(every+2))
		}
	}
}
