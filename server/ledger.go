package server

import (
	"sync"

	"github.com/posthorn/posthorn/server/store"
)

// ledger knows how far the connected devices have got, so that cumulative acks
// can be counted in envelopes. It is for the metrics alone.
type ledger struct {
	mu   sync.Mutex
	open map[store.Box]*progress
}

// progress is how far one delivery stream has got in its mailbox.
type progress struct{ sent, acked uint64 }

func newLedger() *ledger { return &ledger{open: map[store.Box]*progress{}} }

// begin notes a stream whose device has acked everything up to a number.
func (l *ledger) begin(box store.Box, acked uint64) *progress {
	p := &progress{sent: acked, acked: acked}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[box] = p
	return p
}

// send notes how far a stream has sent.
func (l *ledger) send(p *progress, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.sent = max(p.sent, seq)
}

// ack is how many envelopes an ack covers that no ack before it did: of those
// that were sent on the mailbox's newest stream.
func (l *ledger) ack(box store.Box, seq uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.open[box]
	if p == nil {
		return 0
	}
	seq = min(seq, p.sent)
	n := seq - min(seq, p.acked)
	p.acked = max(p.acked, seq)
	return n
}

// end forgets a stream, unless a newer one has taken its place.
func (l *ledger) end(box store.Box, p *progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[box] == p {
		delete(l.open, box)
	}
}
