package level3_test

import (
	"crypto/ecdh"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/internal/xonly"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite/level3"
	"github.com/posthorn/posthorn/suite/suitetest"
)

// ownKey is the public half of a stolen ratchet key.
func ownKey(t testing.TB, private []byte) []byte {
	key, err := ecdh.P256().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	x := xonly.X(key.PublicKey())
	return x[:]
}

// talk is a conversation with a gap in it.
func talk(t testing.TB) *suitetest.World {
	w := suitetest.NewWorld(t, level3.New(level3.Options{Suite: account.PQ3A, Policy: pq3.Policy{EveryMessages: 2}}), "fuzz", "alice", "bob")
	w.Talk("alice", "bob")
	w.Send("alice", "bob")
	w.Talk("alice", "bob")
	w.Talk("bob", "alice")
	return w
}

func stateOf(t testing.TB, w *suitetest.World, name string) *level3.State {
	s, err := level3.ParseState(w.Parties[name].State())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// FuzzParseMessage also opens what parses.
func FuzzParseMessage(f *testing.F) {
	w := talk(f)
	decodertest.Seed(f, "start", w.Mail[0].Wire)
	decodertest.Seed(f, "plain", w.Mail[1].Wire)
	decodertest.Seed(f, "answer", w.Mail[3].Wire)
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, level3.ParseMessage, (*level3.Message).Marshal)
		if _, _, err := w.Parties["bob"].Open(w.Now, "alice", b); err == nil && string(b) != string(w.Mail[1].Wire) {
			t.Error("opened what nobody sent")
		}
	})
}

// FuzzParseRecord covers ParseOwner and Meet as well.
func FuzzParseRecord(f *testing.F) {
	w := talk(f)
	_, record, err := w.Server.HandOut("bob")
	if err != nil {
		f.Fatal(err)
	}
	decodertest.Seed(f, "record", record)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, ok := decodertest.Canonical(t, b, level3.ParseRecord, (*level3.Record).Marshal)
		if !ok {
			return
		}
		if _, err := level3.ParseOwner(r.Statement); err == nil && len(r.Statement) == 0 {
			t.Error("nothing has an owner")
		}
		if _, err := w.Parties["alice"].Meet(w.Now, b); err == nil && string(b[2:]) != string(record[2:]) && r.Name == "bob" {
			t.Error("met an altered record")
		}
	})
}

// FuzzParseState covers ParseParty too.
func FuzzParseState(f *testing.F) {
	w := talk(f)
	decodertest.Seed(f, "device", w.Parties["bob"].State())
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, level3.ParseState, (*level3.State).Marshal)
		if p, err := w.Suite.ParseParty(b); err == nil && string(p.State()) != string(b) {
			t.Error("a device comes back as another")
		}
	})
}

// FuzzParseSession: what pq3 stores parses, whatever else does.
func FuzzParseSession(f *testing.F) {
	w := talk(f)
	for _, name := range []string{"alice", "bob"} {
		stored := stateOf(f, w, name).Peers[0].Sessions[0]
		decodertest.Seed(f, name, []byte(stored.State), []byte(stored.Skipped))
	}
	f.Fuzz(func(t *testing.T, state, skipped []byte) {
		s, ok := decodertest.Frugal(t, append([]byte(nil), state...), func(b []byte) (*level3.Session, error) {
			return level3.ParseSession(b, skipped)
		})
		if ok && s == nil {
			t.Error("no session and no error")
		}
	})
}

func FuzzParsePrekey(f *testing.F) {
	decodertest.Seed(f, "prekey", []byte(stateOf(f, talk(f), "bob").Prekeys[0]))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := decodertest.Frugal(t, b, level3.ParsePrekey)
		if ok && p.Bundle == nil {
			t.Error("a prekey without a bundle")
		}
	})
}
