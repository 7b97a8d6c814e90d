package pq3_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// hexBytes are bytes that JSON shows in hexadecimal.
type hexBytes []byte

func (b hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// goldenStep is one message of a whole-session vector, with the keys that lead
// to it and are in it.
type goldenStep struct {
	From         string   `json:"from"`
	At           string   `json:"at"`
	Text         string   `json:"text"`
	Message      hexBytes `json:"message"`
	Epoch        uint32   `json:"epoch"`
	RootKey      hexBytes `json:"root_key"`  // of the sender after sealing
	ChainKey     hexBytes `json:"chain_key"` // the one that this message's key comes from
	MessageKey   hexBytes `json:"message_key"`
	NextChainKey hexBytes `json:"next_chain_key"`
	Proof        hexBytes `json:"proof"` // indicator or tag
	AESKey       hexBytes `json:"aes_key"`
	CounterBlock hexBytes `json:"counter_block"`
	State        hexBytes `json:"state"` // of the sender after sealing
}

// goldenEpoch is what the root step of an epoch takes in.
type goldenEpoch struct {
	ECDHSecret hexBytes `json:"ecdh_secret"`
	KEMSecret  hexBytes `json:"kem_secret"` // empty where the epoch answers nothing
}

// goldenDevice is the public side of an end.
type goldenDevice struct {
	Account hexBytes `json:"account"`
	ID      hexBytes `json:"id"`
	ECDSA   hexBytes `json:"ecdsa"`
	MLDSA   hexBytes `json:"mldsa"`
}

type golden struct {
	Suite   string          `json:"suite"`
	Entropy string          `json:"entropy"`
	Bundle  hexBytes        `json:"bundle"`
	Devices [2]goldenDevice `json:"devices"` // Alice and Bob
	Session hexBytes        `json:"session"`
	Epochs  []goldenEpoch   `json:"epochs"`
	Steps   []goldenStep    `json:"steps"`
}

// makeGolden plays a fixed conversation: start, lost objects, both directions,
// two rekeys.
func makeGolden(t *testing.T, suite account.Suite) golden {
	p := newPair(t, pq3.Policy{EveryMessages: 3}, suite)
	keys := []*confessing{confess(t, p.alice, "alice", suite), confess(t, p.bob, "bob", suite)}
	reader := &eavesdropper{alice: p.alice.Party(), bob: p.bob.Party(), bundle: p.bob.Bundle()}
	g := golden{
		Suite: suite.Label(), Entropy: "AES-256-CTR, key SHA-256(\"posthorn test entropy \" + seed), see pq3test",
		Bundle: p.bob.Bundle().Marshal(), Devices: [2]goldenDevice{describe(p.alice), describe(p.bob)},
	}
	for i, speaker := range "aaabbabababb" {
		from := p.alice
		if speaker == 'b' {
			from = p.bob
		}
		text := strings.Repeat("Ein Horn! ", i%3+1)
		wire := p.seal(from, text)
		reader.scalars, reader.seeds = slices.Concat(keys[0].scalars, keys[1].scalars), slices.Concat(keys[0].seeds, keys[1].seeds)
		if f := pq3.FieldsOf(wire); f.Index == 0 {
			reader.read(wire)
			g.Epochs = append(g.Epochs, reader.epoch())
		}
		g.Steps = append(g.Steps, p.goldenStep(from, text, wire, reader))
		p.deliver(p.peer(from), wire)
	}
	id := p.alice.Sessions.Sending().ID()
	g.Session = id[:]
	return g
}

// confess draws an endpoint's prekey again from the same entropy, and goes on
// with it: the private keys of the conversation are known, its bytes the same.
func confess(t *testing.T, e *pq3test.Endpoint, seed string, suite account.Suite) *confessing {
	keys := &confessing{Entropy: pq3test.NewEntropy("run of " + seed)}
	prekey, err := pq3.NewPrekey(e.Identity, suite, pq3test.Now, pq3test.Now.Add(pq3.BundleLife), keys)
	if err != nil || prekey.Hash() != e.Bundle().Hash() {
		t.Fatalf("the prekey of %s is another: %v", seed, err)
	}
	e.Ent = keys
	return keys
}

func describe(e *pq3test.Endpoint) goldenDevice {
	account, device := e.Party().Account, e.Party().Device
	return goldenDevice{account[:], device.ID[:], device.Key.ECDSABytes(), device.Key.MLDSABytes()}
}

// epoch is what the last root step took in.
func (e *eavesdropper) epoch() goldenEpoch {
	if bytes.Equal(e.kemSecret, make([]byte, len(e.kemSecret))) {
		return goldenEpoch{ECDHSecret: e.ecdhSecret, KEMSecret: hexBytes{}}
	}
	return goldenEpoch{e.ecdhSecret, e.kemSecret}
}

// goldenStep lists the keys of one message. They come from the eavesdropper,
// who shares no code with the session, and must be the session's.
func (p *pair) goldenStep(from *pq3test.Endpoint, text string, wire []byte, reader *eavesdropper) goldenStep {
	s := from.Sessions.Sending()
	name := "alice"
	if from == p.bob {
		name = "bob"
	}
	step := goldenStep{
		From: name, At: p.now.Format(time.RFC3339), Text: text, Message: wire, Epoch: s.Epoch(),
		RootKey: reader.root, ChainKey: reader.chain, MessageKey: expand(reader.chain, "msgKeyDerivation", 32),
		NextChainKey: expand(reader.chain, "chainKeyDerivation", 32), State: s.MarshalState(),
	}
	material := expand(step.MessageKey, "aes-ctr", 48)
	step.CounterBlock, step.AESKey = material[:16], material[16:]
	step.Proof = proofIn(wire)
	root, secrets := pq3.RootKey(s), pq3.Secrets(s)
	if !bytes.Equal(root[:], reader.root) || !bytes.Equal(secrets["sending chain"], step.NextChainKey) {
		p.t.Fatalf("the keys of message %d of epoch %d are not the session's", pq3.FieldsOf(wire).Index, s.Epoch())
	}
	reader.chain = step.NextChainKey
	return step
}

func expand(key []byte, info string, n int) []byte {
	out, _ := hkdf.Expand(sha512.New384, key, info, n)
	return out
}

// proofIn cuts the proof out of a message: it stands before the lengths of the
// associated data, here empty, and of the ciphertext.
func proofIn(wire []byte) []byte {
	end := len(wire) - 64 - len(pq3.FieldsOf(wire).Ciphertext) - 4 - 2
	return wire[end-32 : end]
}

// TestGoldenSessions compares whole conversations with the committed ones, byte
// for byte; -update rewrites them.
func TestGoldenSessions(t *testing.T) {
	for _, suite := range bothSuites {
		path := filepath.Join("testdata", "vectors", "session-"+strings.ToLower(suite.String())+".json")
		made, err := json.MarshalIndent(makeGolden(t, suite), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, '\n')
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, made, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(made, want) {
			t.Errorf("%s differs from what the code makes now", path)
		}
	}
}
