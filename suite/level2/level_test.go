package level2_test

import (
	"errors"
	"testing"

	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level1"
	"github.com/posthorn/posthorn/suite/level2"
	"github.com/posthorn/posthorn/suite/seeded"
	"github.com/posthorn/posthorn/suite/suitetest"
)

func TestLevel2(t *testing.T) { suitetest.Run(t, level2.New()) }

// TestScheduleFollowsConversation: the exported derivations give every key.
func TestScheduleFollowsConversation(t *testing.T) {
	suitetest.Follow(t, suitetest.NewWorld(t, level2.New(), "follow", "alice", "bob"), level2.Decapsulate)
}

// TestStartNeedsTheKEM: with every classical secret but another KEM secret the
// start gives another key.
func TestStartNeedsTheKEM(t *testing.T) {
	agreements := [][]byte{{1}, {2}, {3}}
	kemSecret := make([]byte, 32)
	with := level2.StartSecret(agreements, kemSecret)
	kemSecret[31] ^= 1
	if with == level2.StartSecret(agreements, kemSecret) || with == level2.StartSecret(agreements, nil) {
		t.Error("the KEM secret does not count")
	}
	if with == level1.StartSecret("level1", agreements, make([]byte, 32)) {
		t.Error("two levels derive one key")
	}
}

// TestCiphertextRidesUntilAnswered: 1,568 bytes on each message before the
// answer, none after it.
func TestCiphertextRidesUntilAnswered(t *testing.T) {
	w := suitetest.NewWorld(t, level2.New(), "ride", "alice", "bob")
	start := func(m *suitetest.Mail) int {
		a, err := w.Suite.Anatomy(m.Wire)
		if err != nil || a.Rekey != 0 {
			t.Fatalf("%+v, %v", a, err)
		}
		return a.Start
	}
	w.Send("alice", "bob")
	if n := start(w.Talk("alice", "bob")); n != 64+32+4+4+2+1568 {
		t.Errorf("a start has %d bytes", n)
	}
	if n := start(w.Talk("bob", "alice")) + start(w.Talk("alice", "bob")); n != 0 {
		t.Errorf("%d bytes of a start after it", n)
	}
}

// TestRefusesWhatIsNoKEM: keys, seeds and ciphertexts of other lengths, and
// states of the level below.
func TestRefusesWhatIsNoKEM(t *testing.T) {
	var add level2.Encapsulated
	private, _ := add.Publish(seeded.New("refuse"))
	for what, err := range map[string]error{
		"empty key":        third(add.Encapsulate(seeded.New("x"), nil)),
		"unreduced key":    third(add.Encapsulate(seeded.New("x"), unreduced())),
		"short seed":       second(add.Decapsulate(private[:63], make([]byte, 1568))),
		"short ciphertext": second(add.Decapsulate(private, make([]byte, 1567))),
	} {
		if !errors.Is(err, suite.ErrPrekey) && !errors.Is(err, suite.ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	one := suitetest.NewWorld(t, level1.New(), "level 1", "alice", "bob")
	two := suitetest.NewWorld(t, level2.New(), "level 2", "alice", "bob")
	_, bundle, err := one.Server.HandOut("bob")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Parties["alice"].Meet(two.Now, bundle); !errors.Is(err, suite.ErrSignature) {
		t.Errorf("a record of Level 1: %v", err)
	}
	two.Refused("bob", "alice", one.Send("alice", "bob").Wire, "a start of Level 1")
	one.Refused("bob", "alice", two.Send("alice", "bob").Wire, "a start of Level 2")
}

func unreduced() []byte {
	key := make([]byte, 1568)
	for i := range key {
		key[i] = 0xff
	}
	return key
}

func second(_ []byte, err error) error   { return err }
func third(_, _ []byte, err error) error { return err }
