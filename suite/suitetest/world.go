package suitetest

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/seeded"
)

// Now is the time at which conversations begin.
var Now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// T is what testing.TB and rapid.T have in common.
type T interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// World is a conversation with everything that is on its way.
type World struct {
	t       T
	Suite   suite.Suite
	Ent     suite.Entropy
	Now     time.Time
	Server  suite.Server
	Parties map[string]suite.Party
	Setup   []suite.Crossing
	Mail    []*Mail
}

// Mail is one message.
type Mail struct {
	From, To string
	Text     string
	Kept     []byte // as the server stores it
	Sent     []byte // as it left the sender
	Wire     []byte // as it was delivered
	Opened   bool
	Waiting  bool
}

// NewWorld begins a conversation of the named devices.
func NewWorld(t T, s suite.Suite, seed string, names ...string) *World {
	t.Helper()
	ent := seeded.New(seed)
	begun, err := suite.Begin(s, ent, Now, names...)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{t: t, Suite: s, Ent: ent, Now: Now, Server: begun.Server, Parties: map[string]suite.Party{}, Setup: begun.Crossings}
	for _, p := range begun.Parties {
		w.Parties[p.Name()] = p
	}
	return w
}

// Send seals a text and hands it to the server; delivery is up to the caller.
func (w *World) Send(from, to string) *Mail {
	w.t.Helper()
	text := fmt.Sprintf("message %d from %s", len(w.Mail), from)
	next, wire, err := w.Parties[from].Seal(w.Ent, w.Now, to, []byte(text))
	if err != nil {
		w.t.Fatalf("%s seals for %s: %v", from, to, err)
	}
	server, kept, delivered, err := w.Server.Relay(w.Ent, w.Now, from, to, wire)
	if err != nil {
		w.t.Fatalf("the server refuses: %v", err)
	}
	w.Parties[from], w.Server = next, server
	m := &Mail{From: from, To: to, Text: text, Kept: kept, Sent: wire, Wire: delivered}
	w.Mail = append(w.Mail, m)
	return m
}

// Deliver opens a message that was not opened before. It may have to wait.
func (w *World) Deliver(m *Mail) {
	w.t.Helper()
	before := w.Parties[m.To].State()
	next, plaintext, err := w.Parties[m.To].Open(w.Now, m.From, m.Wire)
	if errors.Is(err, suite.ErrWaiting) {
		m.Waiting = true
		w.unchanged(m.To, before)
		return
	}
	if err != nil {
		w.t.Fatalf("%s opens %q: %v", m.To, m.Text, err)
	}
	if string(plaintext) != m.Text {
		w.t.Fatalf("got %q, want %q", plaintext, m.Text)
	}
	w.Parties[m.To] = next
	m.Opened, m.Waiting = true, false
	w.retry(m.To)
}

// retry opens what waited at a device, now that something arrived.
func (w *World) retry(to string) {
	w.t.Helper()
	for _, m := range w.Mail {
		if m.To == to && m.Waiting {
			m.Waiting = false
			w.Deliver(m)
		}
	}
}

// Refused wants a device to refuse some bytes and to stay as it was.
func (w *World) Refused(to, from string, wire []byte, what string) {
	w.t.Helper()
	before := w.Parties[to].State()
	if _, text, err := w.Parties[to].Open(w.Now, from, wire); err == nil {
		w.t.Fatalf("%s: accepted, and reads %q", what, text)
	}
	w.unchanged(to, before)
}

func (w *World) unchanged(name string, before []byte) {
	w.t.Helper()
	if !bytes.Equal(w.Parties[name].State(), before) {
		w.t.Fatalf("a refusal changed the state of %s", name)
	}
}

// Restart replaces a device by what its stored state yields.
func (w *World) Restart(name string) {
	w.t.Helper()
	state := w.Parties[name].State()
	p, err := w.Suite.ParseParty(state)
	if err != nil {
		w.t.Fatalf("%s does not come back: %v", name, err)
	}
	if !bytes.Equal(p.State(), state) {
		w.t.Fatalf("%s comes back as another", name)
	}
	w.Parties[name] = p
}

// Rotate publishes fresh prekeys, and every other device fetches them.
func (w *World) Rotate(name string) {
	w.t.Helper()
	next, record, err := w.Parties[name].Publish(w.Ent, w.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Parties[name] = next
	if w.Server, err = w.Server.Register(w.Now, name, record); err != nil {
		w.t.Fatal(err)
	}
	for peer := range w.Parties {
		if peer != name {
			w.Fetch(peer, name)
		}
	}
}

// Fetch lets one device meet another again.
func (w *World) Fetch(name, peer string) {
	w.t.Helper()
	server, bundle, err := w.Server.HandOut(peer)
	if err != nil {
		w.t.Fatal(err)
	}
	next, err := w.Parties[name].Meet(w.Now, bundle)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Server, w.Parties[name] = server, next
}

// Talk sends and delivers at once.
func (w *World) Talk(from, to string) *Mail {
	w.t.Helper()
	m := w.Send(from, to)
	w.Deliver(m)
	if !m.Opened {
		w.t.Fatalf("%q waits although nothing is missing", m.Text)
	}
	return m
}
