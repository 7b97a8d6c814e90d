package suitetest

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posthorn/posthorn/suite"
)

// Run holds a level to everything in this package.
func Run(t *testing.T, s suite.Suite) {
	t.Run("any schedule", func(t *testing.T) { anySchedule(t, s) })
	t.Run("crossing starts", func(t *testing.T) { crossingStarts(t, s) })
	t.Run("tampering", func(t *testing.T) { tampering(t, s) })
	t.Run("truncation", func(t *testing.T) { truncation(t, s) })
	t.Run("long reordering", func(t *testing.T) { longReordering(t, s) })
	t.Run("three devices", func(t *testing.T) { threeDevices(t, s) })
	t.Run("reproducible", func(t *testing.T) { reproducible(t, s) })
	t.Run("anatomy", func(t *testing.T) { anatomy(t, s) })
	t.Run("strangers", func(t *testing.T) { strangers(t, s) })
}

// anySchedule sends, loses, reorders, repeats and restarts by chance. At the
// end the mail that is left arrives, but for what was lost, and a conversation
// works.
func anySchedule(t *testing.T, s suite.Suite) {
	rapid.Check(t, func(rt *rapid.T) {
		w := NewWorld(rt, s, rapid.StringN(1, 8, -1).Draw(rt, "seed"), "alice", "bob")
		w.Talk("alice", "bob")
		below := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(rt, what) }
		names := []string{"alice", "bob"}
		for range below(40, "steps") {
			w.Now = w.Now.Add(time.Duration(below(90, "minutes")) * time.Minute)
			one := below(2, "who")
			pending := w.pending()
			switch action := below(10, "action"); {
			case action < 4:
				w.Send(names[one], names[1-one])
			case action < 7 && len(pending) > 0:
				w.Deliver(pending[below(len(pending), "which")])
			case action == 7 && len(w.Mail) > 0:
				w.repeat(w.Mail[below(len(w.Mail), "again")])
			case action == 8:
				w.Restart(names[one])
			case action == 9:
				w.Rotate(names[one])
			}
		}
		for _, m := range w.pending() {
			if !m.Opened && below(4, "lost") > 0 { // an earlier one may have let it out of waiting
				w.Deliver(m)
			}
		}
		w.converse()
	})
}

// pending are the messages that nobody opened yet.
func (w *World) pending() (list []*Mail) {
	for _, m := range w.Mail {
		if !m.Opened {
			list = append(list, m)
		}
	}
	return list
}

// repeat delivers a message that was opened before: it must be refused.
func (w *World) repeat(m *Mail) {
	w.t.Helper()
	if m.Opened {
		w.Refused(m.To, m.From, m.Wire, "a second delivery of "+m.Text)
	}
}

// converse wants a healthy conversation: every message opens at once, after at
// most a few that make up for losses.
func (w *World) converse() {
	w.t.Helper()
	for range 3 {
		for _, pair := range [][2]string{{"alice", "bob"}, {"bob", "alice"}} {
			w.Deliver(w.Send(pair[0], pair[1]))
			w.Deliver(w.Send(pair[0], pair[1]))
		}
	}
	w.Talk("alice", "bob")
	w.Talk("bob", "alice")
	for _, m := range w.Mail {
		w.repeat(m)
	}
}

// crossingStarts lets both write first.
func crossingStarts(t *testing.T, s suite.Suite) {
	w := NewWorld(t, s, "crossing", "alice", "bob")
	mail := []*Mail{w.Send("alice", "bob"), w.Send("bob", "alice"), w.Send("alice", "bob"), w.Send("bob", "alice")}
	for _, m := range mail {
		w.Deliver(m)
	}
	w.converse()
}

// tampering turns one bit in every byte of messages of every kind.
func tampering(t *testing.T, s suite.Suite) {
	w := NewWorld(t, s, "tampering", "alice", "bob")
	var kinds []*Mail
	first := w.Send("alice", "bob")
	kinds = append(kinds, first)
	w.alter(first)
	w.Deliver(first)
	for i, pair := range [][2]string{{"bob", "alice"}, {"alice", "bob"}, {"alice", "bob"}, {"bob", "alice"}} {
		m := w.Send(pair[0], pair[1])
		w.alter(m)
		w.Deliver(m)
		if !m.Opened {
			t.Fatalf("message %d does not open after the altered ones", i)
		}
		kinds = append(kinds, m)
	}
	for _, m := range kinds {
		w.alter(m)
	}
}

// alter refuses one altered copy for each byte, or for about 400 of a long
// message.
func (w *World) alter(m *Mail) {
	w.t.Helper()
	step := 1 + len(m.Wire)/400
	for i := 0; i < len(m.Wire); i += step {
		altered := bytes.Clone(m.Wire)
		altered[i] ^= 1 << (i % 8)
		w.Refused(m.To, m.From, altered, "an altered byte")
	}
}

func truncation(t *testing.T, s suite.Suite) {
	w := NewWorld(t, s, "truncation", "alice", "bob")
	m := w.Send("alice", "bob")
	step := 1 + len(m.Wire)/200
	for n := 0; n < len(m.Wire); n += step {
		w.Refused("bob", "alice", m.Wire[:n], "a truncated message")
	}
	w.Refused("bob", "alice", append(bytes.Clone(m.Wire), 0), "a longer message")
	w.Deliver(m)
}

// longReordering delivers a burst backwards.
func longReordering(t *testing.T, s suite.Suite) {
	w := NewWorld(t, s, "reordering", "alice", "bob")
	w.Talk("alice", "bob")
	w.Talk("bob", "alice")
	var burst []*Mail
	for range 40 {
		burst = append(burst, w.Send("alice", "bob"))
	}
	w.Talk("bob", "alice")
	for i := range burst {
		w.Deliver(burst[len(burst)-1-i])
	}
	for _, m := range burst {
		if !m.Opened {
			t.Fatalf("%q never opened", m.Text)
		}
		w.repeat(m)
	}
	w.converse()
}

// threeDevices: one device talks with two others, whose sessions are their own.
func threeDevices(t *testing.T, s suite.Suite) {
	w := NewWorld(t, s, "three", "alice", "phone", "laptop")
	for range 3 {
		for _, device := range []string{"phone", "laptop"} {
			w.Talk("alice", device)
		}
		m := w.Send("phone", "alice")
		w.Refused("alice", "laptop", m.Wire, "a message under another sender's name")
		w.Refused("laptop", "alice", m.Wire, "a message for somebody else")
		w.Deliver(m)
		w.Restart("alice")
		w.Talk("laptop", "alice")
	}
}

// reproducible: equal seeds give equal bytes.
func reproducible(t *testing.T, s suite.Suite) {
	run := func() (all []byte) {
		w := NewWorld(t, s, "reproducible", "alice", "bob")
		for range 4 {
			all = append(all, w.Talk("alice", "bob").Wire...)
			all = append(all, w.Talk("bob", "alice").Wire...)
		}
		return append(all, w.Parties["alice"].State()...)
	}
	if !bytes.Equal(run(), run()) {
		t.Error("two runs with one seed differ")
	}
}

// anatomy: the parts of every message are within it.
func anatomy(t *testing.T, s suite.Suite) {
	w := NewWorld(t, s, "anatomy", "alice", "bob")
	for range 3 {
		w.Talk("alice", "bob")
		w.Talk("bob", "alice")
	}
	for _, m := range w.Mail {
		a, err := s.Anatomy(m.Wire)
		if err != nil || a.Total != len(m.Wire) || a.Header() < 0 || a.Text < len(m.Text) {
			t.Errorf("%+v, %v of %d bytes", a, err, len(m.Wire))
		}
	}
	if _, err := s.Anatomy([]byte("nothing")); err == nil {
		t.Error("seven bytes have an anatomy")
	}
}

// strangers: nobody is written to, or read, before the devices met.
func strangers(t *testing.T, s suite.Suite) {
	w := NewWorld(t, s, "strangers", "alice", "bob")
	if _, _, err := w.Parties["alice"].Seal(w.Ent, w.Now, "mallory", nil); err == nil {
		t.Error("a message to nobody")
	}
	w.Refused("alice", "mallory", w.Send("bob", "alice").Wire, "a message from nobody")
	if _, err := w.Parties["alice"].Meet(w.Now, []byte{1, 2, 3}); err == nil {
		t.Error("met three bytes")
	}
	if _, _, err := w.Server.HandOut("mallory"); err == nil {
		t.Error("the server hands out nobody")
	}
	if _, err := s.ParseParty([]byte("nothing")); err == nil {
		t.Error("seven bytes are a device")
	}
}
