package level3_test

import (
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/suite/level3"
	"github.com/posthorn/posthorn/suite/suitetest"
)

// TestRekeyTraffic measures the bytes of KEM objects a message and the messages
// a rekey, over the face of this package, in steady state and without loss.
// Pacing keeps both below the bounds that the design promises.
func TestRekeyTraffic(t *testing.T) {
	for _, p := range []struct {
		name       string
		alice, bob int
		bytes      float64 // at most, paced
		messages   float64 // at most
	}{
		{"alternation", 1, 1, 45, 52},
		{"bursts of 10", 10, 10, 130, 70},
		{"bursts of 50", 50, 50, 91, 150},
		{"50 one way", 50, 1, 110, 80},
	} {
		t.Run(p.name, func(t *testing.T) {
			bytes, messages := rekeyTraffic(t, false, p.alice, p.bob)
			repeated, _ := rekeyTraffic(t, true, p.alice, p.bob)
			t.Logf("paced %.1f bytes a message, on every message %.1f; %.1f messages a rekey", bytes, repeated, messages)
			if bytes > p.bytes || messages > p.messages || repeated < bytes {
				t.Errorf("%.1f bytes and %.1f messages, want at most %.0f and %.0f", bytes, messages, p.bytes, p.messages)
			}
		})
	}
}

func rekeyTraffic(t *testing.T, repeat bool, alice, bob int) (bytes, messages float64) {
	w := suitetest.NewWorld(t, level3.New(level3.Options{Suite: account.PQ3A, Repeat: repeat}), "traffic", "alice", "bob")
	turn := func() (bytes, messages float64) {
		for i := range alice + bob {
			from, to := "alice", "bob"
			if i >= alice {
				from, to = to, from
			}
			a, err := w.Suite.Anatomy(w.Talk(from, to).Wire)
			if err != nil {
				t.Fatal(err)
			}
			bytes, messages = bytes+float64(a.Rekey), messages+1
		}
		w.Mail = nil
		return bytes, messages
	}
	before := w.Parties["alice"].Rekeys("bob")
	for w.Parties["alice"].Rekeys("bob") < before+3 { // past the start
		turn()
	}
	first := w.Parties["alice"].Rekeys("bob")
	for w.Parties["alice"].Rekeys("bob") < first+20 {
		b, m := turn()
		bytes, messages = bytes+b, messages+m
	}
	return bytes / messages, messages / float64(w.Parties["alice"].Rekeys("bob")-first)
}
