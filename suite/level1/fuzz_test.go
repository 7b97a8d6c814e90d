package level1_test

import (
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/suite/level1"
	"github.com/posthorn/posthorn/suite/suitetest"
)

// talk is a conversation with a gap in it.
func talk(t testing.TB) *suitetest.World {
	w := newWorld(t, "fuzz")
	w.Talk("alice", "bob")
	w.Send("alice", "bob")
	w.Talk("alice", "bob")
	w.Talk("bob", "alice")
	w.Send("alice", "bob")
	return w
}

// FuzzParseMessage also opens what parses.
func FuzzParseMessage(f *testing.F) {
	w := talk(f)
	decodertest.Seed(f, "start", w.Mail[0].Wire)
	decodertest.Seed(f, "plain", w.Mail[4].Wire)
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, level1.ParseMessage, (*level1.Message).Marshal)
		if _, _, err := w.Parties["bob"].Open(w.Now, "alice", b); err == nil && string(b) != string(w.Mail[1].Wire) && string(b) != string(w.Mail[4].Wire) {
			t.Error("opened what nobody sent")
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	w := talk(f)
	_, record, err := w.Server.HandOut("bob")
	if err != nil {
		f.Fatal(err)
	}
	decodertest.Seed(f, "record", record)
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, level1.ParseRecord, (*level1.Record).Marshal)
	})
}

// FuzzParseState covers ParseParty too.
func FuzzParseState(f *testing.F) {
	w := talk(f)
	decodertest.Seed(f, "alice", w.Parties["alice"].State())
	decodertest.Seed(f, "bob", w.Parties["bob"].State())
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, level1.ParseState, (*level1.State).Marshal)
		if p, err := w.Suite.ParseParty(b); err == nil && string(p.State()) != string(b) {
			t.Error("a device comes back as another")
		}
	})
}

func FuzzParseSession(f *testing.F) {
	w := talk(f)
	decodertest.Seed(f, "session", stateOf(f, w, "bob").Peers[0].Sessions[0].Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, level1.ParseSession, (*level1.Session).Marshal)
	})
}
