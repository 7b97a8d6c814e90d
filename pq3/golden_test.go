package pq3_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenStep is one message of a whole-session vector.
type goldenStep struct {
	From    string `json:"from"`
	At      string `json:"at"`
	Text    string `json:"text"`
	Message string `json:"message"`
	Epoch   uint32 `json:"epoch"`
	RootKey string `json:"root_key"` // of the sender after sealing
	State   string `json:"state"`    // of the sender after sealing
}

type golden struct {
	Suite    string       `json:"suite"`
	Entropy  string       `json:"entropy"`
	Bundle   string       `json:"bundle"`
	Accounts [2]string    `json:"accounts"`
	Steps    []goldenStep `json:"steps"`
}

// makeGolden plays a fixed conversation: start, lost objects, both directions,
// two rekeys.
func makeGolden(t *testing.T, suite account.Suite) golden {
	p := newPair(t, pq3.Policy{EveryMessages: 3}, suite)
	g := golden{
		Suite: suite.Label(), Entropy: "AES-256-CTR, key SHA-256(\"posthorn test entropy \" + seed), see pq3test",
		Bundle:   hex.EncodeToString(p.bob.Bundle().Marshal()),
		Accounts: [2]string{p.alice.Party().Account.String(), p.bob.Party().Account.String()},
	}
	for i, speaker := range "aaabbabababb" {
		from := p.alice
		if speaker == 'b' {
			from = p.bob
		}
		text := strings.Repeat("Ein Horn! ", i%3+1)
		wire := p.seal(from, text)
		g.Steps = append(g.Steps, p.goldenStep(from, text, wire))
		p.deliver(p.peer(from), wire)
	}
	return g
}

func (p *pair) goldenStep(from *pq3test.Endpoint, text string, wire []byte) goldenStep {
	s := from.Sessions.Sending()
	root := pq3.RootKey(s)
	name := "alice"
	if from == p.bob {
		name = "bob"
	}
	return goldenStep{
		From: name, At: p.now.Format(time.RFC3339), Text: text, Message: hex.EncodeToString(wire), Epoch: s.Epoch(),
		RootKey: hex.EncodeToString(root[:]),
		State:   hex.EncodeToString(s.MarshalState()),
	}
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
