package level3sparse_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite/level1"
	"github.com/posthorn/posthorn/suite/level2"
	"github.com/posthorn/posthorn/suite/level3sparse"
	"github.com/posthorn/posthorn/suite/seeded"
	"github.com/posthorn/posthorn/suite/suitetest"
)

func TestLevel3Sparse(t *testing.T) { suitetest.Run(t, level3sparse.New()) }

func newWorld(t suitetest.T, seed string) *suitetest.World {
	return suitetest.NewWorld(t, level3sparse.New(), seed, "alice", "bob")
}

// stolen are both ratchets of a seized device.
func stolen(t testing.TB, w *suitetest.World, name string) (*level1.State, *level3sparse.State) {
	t.Helper()
	s, err := level1.ParseState(w.Parties[name].State())
	if err != nil {
		t.Fatal(err)
	}
	k, err := level3sparse.ParseState(s.Peers[0].Sessions[0].Second)
	if err != nil {
		t.Fatal(err)
	}
	return s, k
}

func parse(t testing.TB, m *suitetest.Mail) (*level1.Message, *level3sparse.Header) {
	t.Helper()
	parsed, err := level1.ParseMessage(m.Wire)
	if err != nil {
		t.Fatal(err)
	}
	h, err := level3sparse.ParseHeader(parsed.Second)
	if err != nil {
		t.Fatal(err)
	}
	return parsed, h
}

// traffic is a pattern of a conversation: how many messages each side sends
// before the other answers.
type traffic struct {
	name       string
	alice, bob int
	// most messages for a rekey, from the number of pieces and the turns.
	most int
}

// TestRekeysInProportion: an exchange takes as many messages of each side as it
// has pieces, and the turns in between, whatever the traffic.
func TestRekeysInProportion(t *testing.T) {
	for _, p := range []traffic{
		{"alternation", 1, 1, 2 * (38 + 35 + 1)},
		{"bursts of 10", 10, 10, 2 * (40 + 40)},
		{"bursts of 50", 50, 50, 2*50 + 50},
		{"50 one way", 50, 1, 51 * (38 + 35 + 2) / 2},
	} {
		t.Run(p.name, func(t *testing.T) {
			w := newWorld(t, p.name)
			sent, bytes := 0, 0
			for w.Parties["alice"].Rekeys("bob") < 4 {
				for i := range p.alice + p.bob {
					from, to := "alice", "bob"
					if i >= p.alice {
						from, to = to, from
					}
					a, err := w.Suite.Anatomy(w.Talk(from, to).Wire)
					if err != nil {
						t.Fatal(err)
					}
					sent++
					bytes += a.Rekey
				}
				w.Mail = nil // the record of it is not needed here
				if sent > 5*p.most {
					t.Fatalf("%d rekeys in %d messages", w.Parties["alice"].Rekeys("bob"), sent)
				}
			}
			t.Logf("%.1f bytes a message, %.1f messages a rekey", float64(bytes)/float64(sent), float64(sent)/4)
			if sent/4 > p.most {
				t.Errorf("%d messages for 4 rekeys, want at most %d for each", sent, p.most)
			}
		})
	}
}

// TestLossDelaysByNoMoreThanItself: with every third message lost, a rekey
// takes half as many again.
func TestLossDelaysByNoMoreThanItself(t *testing.T) {
	w := newWorld(t, "loss")
	w.Talk("alice", "bob")
	w.Talk("bob", "alice")
	sent := 0
	for w.Parties["alice"].Rekeys("bob") < 2 {
		for _, pair := range [][2]string{{"alice", "bob"}, {"bob", "alice"}} {
			m := w.Send(pair[0], pair[1])
			if sent++; sent%3 != 0 {
				w.Deliver(m)
			}
		}
		if sent > 2*2*(38+35+4)*3/2 {
			t.Fatalf("only %d rekeys in %d messages", w.Parties["alice"].Rekeys("bob"), sent)
		}
	}
}

// TestManyEpochsUnderLossAndReordering: over several exchanges, what arrives
// opens, once, however it arrives.
func TestManyEpochsUnderLossAndReordering(t *testing.T) {
	for seed := range uint64(4) {
		chance := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t, fmt.Sprint("many ", seed))
		w.Talk("alice", "bob")
		names := []string{"alice", "bob"}
		var late []*suitetest.Mail
		for range 700 {
			from := chance.IntN(2)
			for range 1 + chance.IntN(3) {
				m := w.Send(names[from], names[1-from])
				switch chance.IntN(8) {
				case 0: // lost
				case 1, 2:
					late = append(late, m)
				default:
					w.Deliver(m)
				}
			}
			if len(late) > 5 {
				i := chance.IntN(len(late))
				w.Deliver(late[i])
				w.Refused(late[i].To, late[i].From, late[i].Wire, "a second delivery")
				late = append(late[:i], late[i+1:]...)
			}
			if chance.IntN(20) == 0 {
				w.Restart(names[from])
			}
		}
		if a, b := w.Parties["alice"].Rekeys("bob"), w.Parties["bob"].Rekeys("alice"); a < 4 || a-b > 1 || b-a > 1 {
			t.Errorf("seed %d: %d and %d rekeys", seed, a, b)
		}
	}
}

// TestScheduleFollowsConversation: from the state that a device had, the
// recording and the exported derivations a thief rebuilds a ciphertext from
// its pieces, opens it with the stolen seed, and has the keys of the next epoch.
func TestScheduleFollowsConversation(t *testing.T) {
	w := newWorld(t, "follow")
	w.Talk("alice", "bob")
	w.Talk("bob", "alice")
	_, before := stolen(t, w, "alice") // sends the key of exchange 1
	if before.Seed == nil {
		t.Fatal("the side that sends the key holds no seed")
	}
	var pieces []level3sparse.Piece
	for w.Parties["alice"].Rekeys("bob") == 0 {
		w.Talk("alice", "bob")
		if _, h := parse(t, w.Talk("bob", "alice")); h.Kind == level3sparse.CiphertextPiece {
			pieces = append(pieces, h.Piece)
		}
	}
	object, err := level3sparse.Rebuild(pieces, level3sparse.CiphertextPieces)
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, proof := object[:1088], object[1088:]
	kemSecret, err := level3sparse.Decapsulate(*before.Seed, ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	keys := level3sparse.EpochKeys(before.Keys, kemSecret)
	if !bytes.Equal(proof, level3sparse.Proof(keys.Proof, level3sparse.CiphertextPiece, 1, ciphertext)) {
		t.Error("the proof is not the one that was derived")
	}
	s, after := stolen(t, w, "alice")
	if after.Keys.Root != keys.Root || after.Send.Key != keys.Initiator || *after.NextReceive != keys.Responder {
		t.Error("the epoch's keys are not the ones that were derived")
	}
	if after.Seed != nil || after.Keys.Initiator != (secret.Key{}) {
		t.Error("a used seed, or the first key of a chain, is still there")
	}
	f := w.Talk("alice", "bob")
	m, h := parse(t, f)
	key := openingKey(t, w, s, m, keys, h)
	text, err := level1.Decrypt(key, m.Ciphertext, m.AppendHeader(associated(t, w)))
	if err != nil || string(text) != f.Text {
		t.Errorf("derived %q, %v; want %q", text, err, f.Text)
	}
	if _, err := level1.Decrypt(level1.HybridKey(key, nil), m.Ciphertext, nil); err == nil {
		t.Error("another key decrypts as well")
	}
}

// openingKey joins what both ratchets give for the first message of epoch 1.
func openingKey(t *testing.T, w *suitetest.World, s *level1.State, m *level1.Message, keys level3sparse.Keys, h *level3sparse.Header) secret.Key {
	t.Helper()
	if h.Epoch != 1 || h.Index != 0 {
		t.Fatalf("the message is %d of epoch %d", h.Index, h.Epoch)
	}
	r := s.Peers[0].Sessions[0].Ratchet
	own, _ := stolen(t, w, "alice")
	shared, err := level1.Agree(*own.Peers[0].Sessions[0].Ratchet.Own, r.Peer)
	if err != nil {
		t.Fatal(err)
	}
	_, chain := level1.RootStep(r.Root, shared)
	classical, _ := level1.ChainStep(chain)
	second, _ := level3sparse.ChainStep(keys.Initiator)
	return level1.HybridKey(classical, second[:])
}

func associated(t *testing.T, w *suitetest.World) []byte {
	t.Helper()
	a, _ := stolen(t, w, "alice")
	b, _ := stolen(t, w, "bob")
	return level1.Associated(a.Identity.Public(), b.Identity.Public())
}

// TestStartSecretGivesBothRatchets: epoch 0 follows from the start.
func TestStartSecretGivesBothRatchets(t *testing.T) {
	w := newWorld(t, "start")
	state, err := level1.ParseState(w.Parties["bob"].State())
	if err != nil {
		t.Fatal(err)
	}
	m, _ := parse(t, w.Talk("alice", "bob"))
	prekey := state.Prekeys[0]
	var agreements [][]byte
	for _, p := range []struct {
		private secret.Key
		public  [32]byte
	}{
		{prekey.Private, m.Start.Identity.Agreement}, {state.Identity.Agreement, m.Start.Ephemeral},
		{prekey.Private, m.Start.Ephemeral}, {state.OneTime[0].Private, m.Start.Ephemeral},
	} {
		shared, err := level1.Agree(p.private, p.public)
		if err != nil {
			t.Fatal(err)
		}
		agreements = append(agreements, shared)
	}
	kemSecret, err := level2.Decapsulate(prekey.Extra, m.Start.Extra)
	if err != nil {
		t.Fatal(err)
	}
	sk := level1.StartSecret(w.Suite.Name(), agreements, kemSecret)
	keys := level3sparse.BeginKeys(sk[:])
	if _, s := stolen(t, w, "bob"); s.Keys.Root != keys.Root || s.Send.Key != keys.Responder {
		t.Error("epoch 0 is not the one that was derived")
	}
}

// TestRefusesForgedObjects: whoever knows the message keys but not the proof
// key cannot put in a KEM key of its own.
func TestRefusesForgedObjects(t *testing.T) {
	var sparse level3sparse.Sparse
	ent := seeded.New("forge")
	alice, bob := sparse.Begin([]byte("secret"), true), sparse.Begin([]byte("secret"), false)
	object := make([]byte, level3sparse.KeyPieces*level3sparse.PieceSize) // no proof at its end
	refused := false
	for i := range level3sparse.KeyPieces {
		var header []byte
		var err error
		if alice, header, _, err = sparse.Send(ent, alice); err != nil {
			t.Fatal(err)
		}
		h, err := level3sparse.ParseHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		h.Piece = level3sparse.Cut(object, uint16(i))
		next, _, err := sparse.Receive(bob, h.Marshal())
		if refused = err != nil; !refused {
			bob = next
		}
	}
	if !refused {
		t.Error("a key without a proof was taken")
	}
	h := level3sparse.Header{Index: 40, Kind: level3sparse.CiphertextPiece}
	if _, _, err := sparse.Receive(bob, h.Marshal()); err == nil {
		t.Error("a piece of a ciphertext that nobody may send")
	}
}
