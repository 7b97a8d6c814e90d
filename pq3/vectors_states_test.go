package pq3_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/vectors"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// statesFolder holds stored sessions and prekeys as version 1 of the format
// wrote them. They are kept for ever and never made again, so that a profile
// of any age can be read. Its README says more.
const statesFolder = "testdata/states/v1"

// statesSum is SHA-256 over the names and contents of the folder.
const statesSum = "a9853d09ead606f939c65578844427ed6d3c94dfab36e8a8132cbd6f2c2789ff"

// stateIndex is fixtures.json in that folder.
type stateIndex struct {
	Parties map[string]coreParty `json:"parties"`
	Moments []stateMoment        `json:"moments"`
}

// stateMoment is both ends of a conversation at one moment. Its files begin
// with its name: -alice.bin, -bob.bin, -alice.skipped.bin and so on, and
// -prekey.bin where Bob has no session yet.
type stateMoment struct {
	Name  string `json:"name"`
	Suite string `json:"suite"`
	At    uint64 `json:"at"` // Unix ms
	// OnTheWay are messages that have not arrived yet.
	OnTheWay []stateLetter `json:"on_the_way,omitempty"`
}

type stateLetter struct {
	To      string      `json:"to"`
	Text    string      `json:"text"`
	Message vectors.Hex `json:"message"`
}

// TestVectorsStatesAreKept: no file was changed, added or lost.
func TestVectorsStatesAreKept(t *testing.T) {
	h := sha256.New()
	for _, path := range given(filepath.Glob(statesFolder + "/*")) {
		content := given(os.ReadFile(path))
		fmt.Fprintf(h, "%s %d\n", filepath.Base(path), len(content))
		h.Write(content)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != statesSum {
		t.Errorf("the folder has sum %s, want %s; old states are never changed", got, statesSum)
	}
}

// TestVectorsStates restores every stored state, asks for the same bytes back,
// and goes on with the conversation between the two ends.
func TestVectorsStates(t *testing.T) {
	var index stateIndex
	if err := json.Unmarshal(given(os.ReadFile(statesFolder+"/fixtures.json")), &index); err != nil {
		t.Fatal(err)
	}
	shapes := map[string]int{}
	for _, moment := range index.Moments {
		t.Run(moment.Name, func(t *testing.T) {
			p := moment.restore(t, index)
			moment.count(shapes)
			moment.deliver(t, p)
			converse(t, p)
		})
	}
	list := slices.Sorted(maps.Keys(shapes))
	t.Logf("%d moments, %d shapes:\n%s", len(index.Moments), len(list), strings.Join(list, "\n"))
	for _, want := range allShapes() {
		if shapes[want] == 0 {
			t.Errorf("no stored state of the shape %s", want)
		}
	}
}

// file reads a file of the moment; nil when it has none of that kind.
func (m stateMoment) file(kind string) []byte {
	b, err := os.ReadFile(filepath.Join(statesFolder, m.Name+"-"+kind+".bin"))
	if os.IsNotExist(err) {
		return nil
	}
	return given(b, err)
}

// restore makes both ends of a moment.
func (m stateMoment) restore(t *testing.T, index stateIndex) *pair {
	t.Helper()
	p := &pair{t: t, now: time.UnixMilli(int64(m.At)).UTC()}
	p.alice, p.bob = m.end(index, "alice"), m.end(index, "bob")
	for _, end := range []struct {
		name     string
		me, peer *pq3test.Endpoint
	}{{"alice", p.alice, p.bob}, {"bob", p.bob, p.alice}} {
		state, skipped := m.file(end.name), m.file(end.name+".skipped")
		if state == nil {
			continue
		}
		s, err := pq3.RestoreSession(end.me.Identity, end.peer.Party(), pq3.Policy{}, state, skipped)
		if err != nil {
			t.Fatalf("%s: %v", end.name, err)
		}
		if !bytes.Equal(s.MarshalState(), state) || !bytes.Equal(s.MarshalSkipped(), skipped) {
			t.Errorf("%s: restored to other bytes", end.name)
		}
		end.me.Sessions, _ = end.me.Sessions.With(s)
	}
	if stored := m.file("prekey"); stored != nil {
		k := given(pq3.ParsePrekey(stored))
		if !bytes.Equal(k.Marshal(), stored) {
			t.Error("the prekey encodes to other bytes")
		}
		p.bob.Prekeys[k.Hash()] = k
	}
	return p
}

func (m stateMoment) end(index stateIndex, name string) *pq3test.Endpoint {
	return &pq3test.Endpoint{
		Identity: given(index.Parties[name+" "+m.Suite].identity()),
		Ent:      pq3test.NewEntropy("after " + m.Name + " " + name),
		Prekeys:  pq3test.PrekeyMap{}, Replays: &pq3test.ReplayLog{},
	}
}

func (m stateMoment) deliver(t *testing.T, p *pair) {
	t.Helper()
	for _, l := range m.OnTheWay {
		to := p.alice
		if l.To == "bob" {
			to = p.bob
		}
		if texts := p.deliver(to, l.Message); !slices.Equal(texts, []string{l.Text}) {
			t.Errorf("%q arrived as %q", l.Text, texts)
		}
	}
}

// converse exchanges texts until two more rekeys are done. It never starts a
// session: the restored one must last.
func converse(t *testing.T, p *pair) {
	t.Helper()
	session := p.alice.Sessions.Sending()
	before := session.Status(p.now).KEMRekeys
	for range 4 {
		for _, from := range []*pq3test.Endpoint{p.alice, p.bob} {
			if from.Sessions == nil {
				t.Fatal("an end has no session")
			}
			p.now = p.now.Add(time.Second)
			wire := given(from.Send(p.peer(from), p.now, "goes on", pq3.ForceAdvertise))
			if texts := p.deliver(p.peer(from), wire); !slices.Equal(texts, []string{"goes on"}) {
				t.Fatalf("arrived as %q", texts)
			}
		}
	}
	after := p.alice.Sessions.Sending()
	if after.ID() != session.ID() || after.Status(p.now).KEMRekeys < before+2 {
		t.Errorf("%d rekeys, then %d", before, after.Status(p.now).KEMRekeys)
	}
}

// The shape of a state: suite, which end, its role, what objects its chains
// have, and whether keys were skipped.
func shapeOf(state, skipped []byte) string {
	const header = 3 + 16 + 8 + 5*8 + 4*4 + 32
	end, chains, rest := "responder", "", state[header:]
	if state[2]&1 != 0 {
		end = "initiator"
	}
	suite, epoch := account.Suite(state[1]), state[3+16+8+5*8+3]
	role := "R"
	if epoch%2 == 0 == (end == "initiator") {
		flags := rest[32+4+4+32]
		role, chains = "S", fmt.Sprintf(" sending %d", flags)
		rest = rest[32+4+4+32+1+objectsLength(suite, epoch, flags):]
	}
	if state[2]&2 != 0 {
		chains += fmt.Sprintf(" receiving %d", rest[32+4+4+32])
	}
	shape := fmt.Sprintf("%s %s %s%s", suite, end, role, chains)
	if len(skipped) > 0 {
		shape += ", skipped keys"
	}
	return shape
}

// objectsLength is what the objects of a sending chain take in a state.
func objectsLength(suite account.Suite, epoch, flags byte) (n int) {
	if flags&1 != 0 {
		n += 1184 + 64 + 8
	}
	if epoch == 0 {
		n += 1568 + 48 + 8
		if suite == account.PQ3A {
			n += 3309
		}
	} else if flags&2 != 0 {
		n += 1088
	}
	return n
}

func (m stateMoment) count(shapes map[string]int) {
	for _, end := range []string{"alice", "bob"} {
		if state := m.file(end); state != nil {
			shapes[shapeOf(state, m.file(end+".skipped"))]++
		}
	}
}

// allShapes: epoch 0 has the start objects, epoch 1 always advertises, and an
// advertised key is always answered; everything else is free.
func allShapes() (list []string) {
	for _, suite := range bothSuites {
		list = append(list, fmt.Sprint(suite, " initiator S sending 6"), fmt.Sprint(suite, " responder R receiving 6"),
			fmt.Sprint(suite, " responder S sending 1 receiving 6"), fmt.Sprint(suite, " responder R receiving 2, skipped keys"))
		for _, end := range []string{"initiator", "responder"} {
			for received := range 4 {
				list = append(list, fmt.Sprintf("%s %s R receiving %d", suite, end, received))
				answer := received & 1 << 1
				for _, sent := range []int{answer, answer | 1} {
					list = append(list, fmt.Sprintf("%s %s S sending %d receiving %d", suite, end, sent, received))
				}
			}
		}
	}
	return list
}
