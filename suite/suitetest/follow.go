package suitetest

import (
	"testing"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite/level1"
)

// Follow reads a conversation at a level that is built on the Double Ratchet
// with nothing but the messages, the states that their receivers had before,
// and the exported derivations: what a thief of everything could do. addition
// opens the start addition of the level; it is nil where there is none.
func Follow(t *testing.T, w *World, addition func(private, header []byte) ([]byte, error)) {
	f := &follower{T: t, design: w.Suite.Name(), addition: addition}
	for i := range 24 {
		from, to := "alice", "bob"
		if i/2%2 == 1 {
			from, to = to, from
		}
		f.read(w.Parties[to].State(), w.Talk(from, to))
	}
	if f.epochs < 12 {
		t.Errorf("only %d epochs", f.epochs)
	}
}

type follower struct {
	*testing.T
	design     string
	addition   func(private, header []byte) ([]byte, error)
	root       secret.Key
	chain      secret.Key
	ratchet    [32]byte
	associated []byte
	epochs     int
}

// read derives the key of a message from the receiver's earlier state.
func (f *follower) read(before []byte, m *Mail) {
	f.Helper()
	s, err := level1.ParseState(before)
	if err != nil {
		f.Fatal(err)
	}
	parsed, err := level1.ParseMessage(m.Wire)
	if err != nil {
		f.Fatal(err)
	}
	if parsed.Header.Ratchet != f.ratchet {
		f.epochs++
		own := f.ownKey(s, parsed)
		shared, err := level1.Agree(own, parsed.Header.Ratchet)
		if err != nil {
			f.Fatal(err)
		}
		f.root, f.chain = level1.RootStep(f.root, shared)
		f.ratchet = parsed.Header.Ratchet
	}
	var key secret.Key
	key, f.chain = level1.ChainStep(f.chain)
	text, err := level1.Decrypt(key, parsed.Ciphertext, parsed.AppendHeader(f.associated))
	if err != nil || string(text) != m.Text {
		f.Fatalf("derived %q, %v; want %q", text, err, m.Text)
	}
}

// ownKey is the ratchet key that the receiver held: that of its session, or at
// the start its prekey.
func (f *follower) ownKey(s *level1.State, m *level1.Message) secret.Key {
	f.Helper()
	if sessions := s.Peers[0].Sessions; len(sessions) > 0 {
		if sessions[0].Ratchet.Root != f.root {
			f.Fatal("the root key is not the one that was derived")
		}
		return *sessions[0].Ratchet.Own
	}
	prekey := s.Prekeys[0]
	pairs := []struct {
		private secret.Key
		public  [32]byte
	}{
		{prekey.Private, m.Start.Identity.Agreement}, {s.Identity.Agreement, m.Start.Ephemeral}, {prekey.Private, m.Start.Ephemeral},
		{s.OneTime[0].Private, m.Start.Ephemeral},
	}
	var agreements [][]byte
	for _, p := range pairs {
		shared, err := level1.Agree(p.private, p.public)
		if err != nil {
			f.Fatal(err)
		}
		agreements = append(agreements, shared)
	}
	var extra []byte
	if f.addition != nil {
		var err error
		if extra, err = f.addition(prekey.Extra, m.Start.Extra); err != nil {
			f.Fatal(err)
		}
	}
	f.root = level1.StartSecret(f.design, agreements, extra)
	f.associated = level1.Associated(m.Start.Identity, s.Identity.Public())
	return prekey.Private
}
