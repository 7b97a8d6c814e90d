package level0_test

import (
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/suite/level0"
	"github.com/posthorn/posthorn/suite/suitetest"
)

// talk is a conversation with a gap in it.
func talk(t testing.TB) *suitetest.World {
	w := suitetest.NewWorld(t, level0.Level0{}, "fuzz", "alice", "bob")
	w.Send("alice", "bob")
	w.Talk("alice", "bob")
	w.Talk("bob", "alice")
	return w
}

// FuzzParseMessage also opens what parses.
func FuzzParseMessage(f *testing.F) {
	w := talk(f)
	decodertest.Seed(f, "up", w.Mail[0].Sent)
	decodertest.Seed(f, "down", w.Mail[0].Wire)
	decodertest.Seed(f, "empty", []byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, level0.ParseMessage, (*level0.Message).Marshal)
		if _, _, err := w.Parties["bob"].Open(w.Now, "alice", b); err == nil && string(b) != string(w.Mail[0].Wire) {
			t.Error("opened what nobody sent")
		}
	})
}

func FuzzParseStored(f *testing.F) {
	decodertest.Seed(f, "stored", talk(f).Mail[0].Kept)
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, level0.ParseStored, (*level0.Stored).Marshal)
	})
}

// FuzzParseState covers ParseParty too, whose open is that of any device.
func FuzzParseState(f *testing.F) {
	w := talk(f)
	decodertest.Seed(f, "device", w.Parties["bob"].State())
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, level0.ParseState, (*level0.State).Marshal)
		if p, err := w.Suite.ParseParty(b); err == nil && string(p.State()) != string(b) {
			t.Error("a device comes back as another")
		}
	})
}
