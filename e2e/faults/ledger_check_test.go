//go:build linux && amd64

package faults

import (
	"strings"
	"testing"

	"github.com/posthorn/posthorn/client/transport"
)

// TestLedgerNoticesBrokenPromises: a ledger that came out even after whatever
// a server did would prove nothing.
func TestLedgerNoticesBrokenPromises(t *testing.T) {
	bob := newDevice(t, "bob", 2)
	one, two, three := bob.envelope(10), bob.envelope(10), bob.envelope(10)
	give := func(seq uint64, e transport.Envelope) transport.Delivery {
		return transport.Delivery{Seq: seq, ID: e.ID, Payload: e.Payload}
	}
	for want, story := range map[string]func(l *ledger){
		"": func(l *ledger) {
			l.took(bob, []transport.Delivery{give(1, one), give(2, two)})
			l.acked(bob, 2)
			l.took(bob, []transport.Delivery{give(3, three)})
			l.crashed()
			l.took(bob, []transport.Delivery{give(1, one), give(2, two), give(3, three)})
		},
		"was shown 0 times":          func(l *ledger) { l.took(bob, []transport.Delivery{give(1, one), give(2, two)}) },
		"number 3 follows 1":         func(l *ledger) { l.took(bob, []transport.Delivery{give(1, one), give(3, three)}) },
		"a shorter queue":            func(l *ledger) { l.took(bob, []transport.Delivery{give(2, two), give(3, three)}) },
		"one envelope under two":     func(l *ledger) { l.took(bob, []transport.Delivery{give(1, one), give(2, one)}) },
		"nothing that was sent":      func(l *ledger) { l.took(bob, []transport.Delivery{give(1, bob.envelope(9))}) },
		"bundle that it never":       func(l *ledger) { l.publishing(bob, 0); l.looked(bob, []byte("other")) },
		"has bundle 0, confirmed is": func(l *ledger) { l.publishing(bob, 1); l.confirmed(bob, 1); l.looked(bob, bob.Bundles[0]) },
		"named one envelope, then another": func(l *ledger) {
			l.took(bob, []transport.Delivery{give(1, one)})
			l.took(bob, []transport.Delivery{give(1, two)})
		},
		"given again after an ack": func(l *ledger) {
			l.took(bob, []transport.Delivery{give(1, one)})
			l.acked(bob, 1)
			l.took(bob, []transport.Delivery{give(1, one)})
		},
	} {
		l, all := newLedger(), []transport.Envelope{one, two, three}
		l.sending(bob, all)
		if !l.sent(all, []transport.Outcome{transport.Accepted, transport.Accepted, transport.Accepted}) {
			t.Fatal("not all were accepted")
		}
		story(l)
		faults := strings.Join(l.settle(), "; ")
		if want == "" && faults != "" || !strings.Contains(faults, want) {
			t.Errorf("want %q, got %q", want, faults)
		}
	}
}
