package level0_test

import (
	"testing"

	"github.com/posthorn/posthorn/suite/level0"
	"github.com/posthorn/posthorn/suite/suitetest"
)

func TestLevel0(t *testing.T) { suitetest.Run(t, level0.Level0{}) }

// TestServerReadsEverything: what the server stores is the text.
func TestServerReadsEverything(t *testing.T) {
	w := suitetest.NewWorld(t, level0.Level0{}, "stored", "alice", "bob")
	for range 3 {
		m := w.Talk("alice", "bob")
		stored, err := level0.ParseStored(m.Kept)
		if err != nil || string(stored.Text) != m.Text || stored.From != "alice" || stored.To != "bob" {
			t.Errorf("stored %+v, %v; want %q", stored, err, m.Text)
		}
	}
}

// TestServerRefusesRepeatedAndForeign: the connection is a real one.
func TestServerRefusesRepeatedAndForeign(t *testing.T) {
	w := suitetest.NewWorld(t, level0.Level0{}, "server", "alice", "bob", "carol")
	m := w.Send("alice", "bob")
	for what, try := range map[string]func() error{
		"a second time":         func() error { _, _, _, err := w.Server.Relay(w.Ent, w.Now, "alice", "bob", m.Sent); return err },
		"as somebody else":      func() error { _, _, _, err := w.Server.Relay(w.Ent, w.Now, "carol", "bob", m.Sent); return err },
		"to somebody else":      func() error { _, _, _, err := w.Server.Relay(w.Ent, w.Now, "alice", "carol", m.Sent); return err },
		"from a stranger":       func() error { _, _, _, err := w.Server.Relay(w.Ent, w.Now, "mallory", "bob", m.Sent); return err },
		"under a taken name":    func() error { _, err := w.Server.Register(w.Now, "alice", make([]byte, 32)); return err },
		"with a useless key":    func() error { _, err := w.Server.Register(w.Now, "mallory", make([]byte, 32)); return err },
		"with a short greeting": func() error { _, err := w.Suite.NewParty(w.Ent, w.Now, "x", []byte{1}); return err },
	} {
		if try() == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
