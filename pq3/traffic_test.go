package pq3_test

import (
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// traffic is a pattern of messages and what rekeying may cost under it:
// post-quantum bytes a message, and messages for each completed rekey.
type traffic struct {
	name                    string
	alice, bob              int // messages in a row
	mostBytes, mostInterval float64
}

var patterns = []traffic{
	{"strict alternation", 1, 1, 45, 52.5},
	{"bursts of 10", 10, 10, 130, 70},
	{"bursts of 50", 50, 50, 91, 150},
	{"50 one way for each reply", 50, 1, 110, 80},
}

// run plays at least so many messages after the start has been answered.
func (tr traffic) run(t testing.TB, least int) (bytesEach, interval float64) {
	alice, bob := pq3test.NewEndpoint("alice", pq3.Policy{}, account.PQ3A), pq3test.NewEndpoint("bob", pq3.Policy{}, account.PQ3A)
	messages, objects, now := 0, 0, pq3test.Now
	turn := func(from, to *pq3test.Endpoint, n int) {
		for range n {
			now = now.Add(time.Millisecond)
			wire, err := from.Send(to, now, "x", 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := to.Receive(from, now, wire); err != nil {
				t.Fatal(err)
			}
			f := pq3.FieldsOf(wire)
			messages, objects = messages+1, objects+len(f.KEMKey)+len(f.KEMCiphertext)
		}
	}
	for range 8 {
		turn(alice, bob, tr.alice)
		turn(bob, alice, tr.bob)
	}
	before := alice.Sessions.Sending().Status(now).KEMRekeys
	for messages, objects = 0, 0; messages < least; {
		turn(alice, bob, tr.alice)
		turn(bob, alice, tr.bob)
	}
	rekeys := alice.Sessions.Sending().Status(now).KEMRekeys - before
	return float64(objects) / float64(messages), float64(messages) / float64(rekeys)
}

// TestRekeyTraffic prints the table of SPEC §8.4 and holds its bounds. Half a
// message of rounding is allowed, since a run ends in the middle of an interval;
// more in a short run.
func TestRekeyTraffic(t *testing.T) {
	least, slack := 6000, 0.5
	if testing.Short() {
		least, slack = 600, 12
	}
	for _, tr := range patterns {
		bytesEach, interval := tr.run(t, least)
		t.Logf("%-28s %6.1f bytes a message, %6.1f messages a rekey", tr.name, bytesEach, interval)
		if bytesEach > tr.mostBytes+slack || interval > tr.mostInterval+slack {
			t.Errorf("%s: %.1f bytes and %.1f messages, at most %.0f and %.0f", tr.name, bytesEach, interval, tr.mostBytes, tr.mostInterval)
		}
	}
}

func BenchmarkRekeyTraffic(b *testing.B) {
	for _, tr := range patterns {
		b.Run(tr.name, func(b *testing.B) {
			for b.Loop() {
				bytesEach, interval := tr.run(b, 6000)
				b.ReportMetric(bytesEach, "PQ-bytes/msg")
				b.ReportMetric(interval, "msgs/rekey")
			}
		})
	}
}
