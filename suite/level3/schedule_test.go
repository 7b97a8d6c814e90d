package level3_test

import (
	"bytes"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite/level3"
	"github.com/posthorn/posthorn/suite/suitetest"
)

// TestScheduleAgainstPQ3 follows a conversation with nothing but the messages,
// the seized states before each, and the derivations of this package. Every
// key that they give opens the message that pq3 sealed, with the indicator or
// tag that pq3 made.
func TestScheduleAgainstPQ3(t *testing.T) {
	for _, s := range []account.Suite{account.PQ3, account.PQ3A} {
		t.Run(s.String(), func(t *testing.T) { follow(t, s) })
	}
}

func follow(t *testing.T, s account.Suite) {
	w := suitetest.NewWorld(t, level3.New(level3.Options{Suite: s, Policy: pq3.Policy{EveryMessages: 4}}), "follow", "alice", "bob")
	f := &follower{T: t, w: w, suite: s}
	chain := f.start(w.Talk("alice", "bob"))
	chain = f.open(chain, w.Mail[0])
	epoch, rekeys := uint32(0), 0
	for i := range 30 {
		from, to := "alice", "bob"
		if i/2%2 == 0 {
			from, to = to, from
		}
		before := w.Parties[to].State() // the receiver's, who has its private keys
		m := w.Talk(from, to)
		parsed := f.parse(m)
		if parsed.Epoch > epoch {
			epoch = parsed.Epoch
			chain = f.ratchet(before, m)
			rekeys += len(parsed.KEMCiphertext) / 1088
		}
		chain = f.open(chain, m)
	}
	if epoch < 14 || rekeys < 4 {
		t.Errorf("only %d epochs and %d rekeys", epoch, rekeys)
	}
}

// follower is an onlooker with the states of both.
type follower struct {
	*testing.T
	w     *suitetest.World
	suite account.Suite
	root  []byte
}

func (f *follower) parse(m *suitetest.Mail) *level3.Message {
	f.Helper()
	parsed, err := level3.ParseMessage(m.Wire)
	if err != nil {
		f.Fatal(err)
	}
	if !bytes.Equal(parsed.Marshal(), m.Wire) {
		f.Fatal("a parsed message has another encoding")
	}
	return parsed
}

func (f *follower) state(b []byte) *level3.State {
	f.Helper()
	s, err := level3.ParseState(b)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// context is the session context from one to the other.
func (f *follower) context(m *suitetest.Mail) []byte {
	f.Helper()
	from, err := level3.ParseOwner(f.state(f.w.Parties[m.From].State()).Statement)
	if err != nil {
		f.Fatal(err)
	}
	to, err := level3.ParseOwner(f.state(f.w.Parties[m.To].State()).Statement)
	if err != nil {
		f.Fatal(err)
	}
	return account.SessionContext(f.suite, from, to)
}

// start derives epoch 0 from the responder's prekey.
func (f *follower) start(m *suitetest.Mail) (chain []byte) {
	f.Helper()
	prekey, err := level3.ParsePrekey(f.state(f.w.Parties[m.To].State()).Prekeys[0])
	if err != nil {
		f.Fatal(err)
	}
	parsed := f.parse(m)
	dh, kem := f.secrets(prekey.ECDH[:], parsed.RatchetKey, prekey.KEM[:], parsed.KEMCiphertext)
	info := level3.StartInfo(f.context(m), prekey.Bundle.ECDH[:], parsed.RatchetKey, parsed.KEMCiphertext, prekey.Bundle.KEM[:])
	f.root, chain = level3.RootStep(make([]byte, 32), dh, kem, info)
	return chain
}

// ratchet derives a later epoch from the state that its receiver had before.
func (f *follower) ratchet(before []byte, m *suitetest.Mail) (chain []byte) {
	f.Helper()
	stored := f.state(before).Peers[0].Sessions[0]
	s, err := level3.ParseSession(stored.State, stored.Skipped)
	if err != nil {
		f.Fatal(err)
	}
	if !bytes.Equal(s.Root[:], f.root) {
		f.Fatal("the root key is not the one that was derived")
	}
	parsed := f.parse(m)
	public := ownKey(f.T, s.Send.RatchetKey[:])
	var seed []byte
	if s.Send.KEMSeed != nil {
		seed = s.Send.KEMSeed[:]
	}
	dh, kem := f.secrets(s.Send.RatchetKey[:], parsed.RatchetKey, seed, parsed.KEMCiphertext)
	info := level3.RatchetInfo(f.context(m), public, parsed.RatchetKey, parsed.KEMCiphertext, s.Send.KEMKey)
	f.root, chain = level3.RootStep(f.root, dh, kem, info)
	return chain
}

func (f *follower) secrets(private, public, seed, ciphertext []byte) (dh, kem []byte) {
	f.Helper()
	dh, err := level3.Agree(private, public)
	if err != nil {
		f.Fatal(err)
	}
	if ciphertext == nil {
		return dh, nil
	}
	kem, err = level3.Decapsulate(seed, ciphertext)
	if err != nil {
		f.Fatal(err)
	}
	return dh, kem
}

// open decrypts the next message of a chain and checks its proof.
func (f *follower) open(chain []byte, m *suitetest.Mail) (next []byte) {
	f.Helper()
	key, next := level3.ChainStep(chain)
	parsed := f.parse(m)
	text, err := level3.Decrypt(key, parsed.Ciphertext)
	if err != nil || string(text) != m.Text {
		f.Fatalf("got %q, %v; want %q", text, err, m.Text)
	}
	want := level3.Indicator(key)
	if f.suite == account.PQ3A {
		want = level3.Tag(key, parsed.Covered(f.context(m), make([]byte, 32)))
	}
	if !bytes.Equal(parsed.Proof, want) {
		f.Fatal("indicator or tag is not the one that was derived")
	}
	owner, err := level3.ParseOwner(f.state(f.w.Parties[m.From].State()).Statement)
	if err != nil {
		f.Fatal(err)
	}
	if err := owner.Device.Key.VerifyECDSA(parsed.Covered(f.context(m), parsed.Proof), parsed.Signature); err != nil {
		f.Fatal("the signature does not cover what Covered says")
	}
	if _, err := level3.Decrypt(next, parsed.Ciphertext); err == nil {
		f.Fatal("another key decrypts as well")
	}
	return next
}

// TestSkippedKeysAreFound: what was overtaken opens with the stored key.
func TestSkippedKeysAreFound(t *testing.T) {
	w := suitetest.NewWorld(t, level3.New(level3.Options{Suite: account.PQ3A}), "skipped", "alice", "bob")
	w.Talk("alice", "bob")
	late := w.Send("alice", "bob")
	w.Talk("alice", "bob")
	f := &follower{T: t, w: w, suite: account.PQ3A}
	stored := f.state(w.Parties["bob"].State()).Peers[0].Sessions[0]
	s, err := level3.ParseSession(stored.State, stored.Skipped)
	if err != nil || len(s.Skipped) != 1 {
		t.Fatalf("%d skipped keys, %v", len(s.Skipped), err)
	}
	parsed := f.parse(late)
	text, err := level3.Decrypt(s.Skipped[0].MessageKey[:], parsed.Ciphertext)
	if err != nil || string(text) != late.Text || s.Skipped[0].Index != parsed.Index || s.Skipped[0].Epoch != parsed.Epoch {
		t.Errorf("got %q, %v", text, err)
	}
}

// TestDerivationsRefuseNonsense: they answer with errors, not panics.
func TestDerivationsRefuseNonsense(t *testing.T) {
	key := make([]byte, 32)
	key[31] = 1
	for what, err := range map[string]error{
		"zero scalar":        second(level3.Agree(make([]byte, 32), key)),
		"no point":           second(level3.Agree(key, make([]byte, 31))),
		"short seed":         second(level3.Decapsulate(key, make([]byte, 1088))),
		"short start seed":   second(level3.Decapsulate(key, make([]byte, 1568))),
		"short ciphertext":   second(level3.Decapsulate(make([]byte, 64), make([]byte, 5))),
		"empty frame":        second(level3.Decrypt(key, nil)),
		"frame of other key": second(level3.Decrypt(key, make([]byte, 128))),
	} {
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func second(_ []byte, err error) error { return err }
