//go:build linux && amd64

package faults

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/posthorn/posthorn/client/transport"
)

// ledger is what a server has promised, and what it gave. It is safe for
// concurrent use.
type ledger struct {
	mu       sync.Mutex
	letters  map[[16]byte]*letter
	queues   map[*device]*queue
	bundles  map[*device]*published
	faults   []string // broken promises
	accepted int
	repeats  int // envelopes given again after a crash, as the contract allows
}

// letter is one envelope that was sent at least once.
type letter struct {
	transport.Envelope
	sum      [32]byte
	to       *device
	accepted bool
	doubtful bool // sent again after nobody answered, so a second copy may be stored
	shown    int  // to the recipient, who drops what it has by id
}

// queue is one mailbox as its owner sees it.
type queue struct {
	bySeq  map[uint64][16]byte
	had    map[[16]byte]bool // by id
	acked  uint64            // confirmed by the server
	firm   bool              // no crash since then
	newest uint64
}

// published is what the directory may hold of a device.
type published struct {
	sure  int          // the newest bundle that was confirmed, -1 for none
	maybe map[int]bool // others that nobody answered for since
}

func newLedger() *ledger {
	return &ledger{letters: map[[16]byte]*letter{}, queues: map[*device]*queue{}, bundles: map[*device]*published{}}
}

func (l *ledger) fault(format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

func (l *ledger) queue(d *device) *queue {
	q := l.queues[d]
	if q == nil {
		q = &queue{bySeq: map[uint64][16]byte{}, had: map[[16]byte]bool{}}
		l.queues[d] = q
	}
	return q
}

// sending notes envelopes before they go out.
func (l *ledger) sending(to *device, envelopes []transport.Envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range envelopes {
		if again := l.letters[e.ID]; again != nil {
			again.doubtful = true
			continue
		}
		// The transport tries again by itself when a connection breaks.
		l.letters[e.ID] = &letter{Envelope: e, sum: sha256.Sum256(e.Payload), to: to}
	}
}

// waiting is how many accepted envelopes nobody has acknowledged.
func (l *ledger) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.accepted
	for _, q := range l.queues {
		for seq := range q.bySeq {
			if seq <= q.acked {
				n--
			}
		}
	}
	return n
}

// sent notes what the server said. It reports whether all were accepted.
func (l *ledger) sent(envelopes []transport.Envelope, outcomes []transport.Outcome) (all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all = true
	for i, e := range envelopes {
		if outcomes[i] != transport.Accepted {
			all = false
			continue
		}
		if letter := l.letters[e.ID]; !letter.accepted {
			letter.accepted, letter.Payload = true, nil
			l.accepted++
		}
	}
	return all
}

// unanswered are the letters to a device that a client would send again.
func (l *ledger) unanswered(to *device) (again []transport.Envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, letter := range l.letters {
		if letter.to == to && !letter.accepted {
			again = append(again, letter.Envelope)
		}
	}
	return again
}

// crashed notes that the server has ended without warning: acks may be undone.
func (l *ledger) crashed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.queues {
		q.firm = false
	}
}

// acked notes a confirmed ack.
func (l *ledger) acked(by *device, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue(by)
	q.acked, q.firm = max(q.acked, seq), true
}

// took notes one fetch of a whole backlog, and the highest number in it.
func (l *ledger) took(by *device, deliveries []transport.Delivery) (newest uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue(by)
	for i, d := range deliveries {
		l.place(q, by, d)
		if i > 0 && d.Seq != deliveries[i-1].Seq+1 {
			l.fault("%s: number %d follows %d", by.name, d.Seq, deliveries[i-1].Seq)
		}
		if q.firm && d.Seq <= q.acked {
			l.fault("%s: number %d was given again after an ack of %d and no crash", by.name, d.Seq, q.acked)
		}
		newest = max(newest, d.Seq)
	}
	if len(deliveries) > 0 && deliveries[0].Seq > q.acked+1 {
		l.fault("%s: acked up to %d, then given %d: a shorter queue", by.name, q.acked, deliveries[0].Seq)
	}
	q.newest = max(q.newest, newest)
	return newest
}

// place notes one delivery.
func (l *ledger) place(q *queue, by *device, d transport.Delivery) {
	letter := l.letters[d.ID]
	if letter == nil || letter.to != by || letter.sum != sha256.Sum256(d.Payload) {
		l.fault("%s: number %d is nothing that was sent to it", by.name, d.Seq)
		return
	}
	if was, seen := q.bySeq[d.Seq]; seen {
		l.repeats++
		if was != d.ID {
			l.fault("%s: number %d named one envelope, then another", by.name, d.Seq)
		}
	} else if q.had[d.ID] && !letter.doubtful {
		l.fault("%s: one envelope under two numbers, though it was sent once", by.name)
	}
	q.bySeq[d.Seq] = d.ID
	if !q.had[d.ID] {
		q.had[d.ID] = true
		letter.shown++
	}
}

// settle holds the ledger against what everybody has by now.
func (l *ledger) settle() (faults []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, letter := range l.letters {
		if letter.accepted && letter.shown != 1 || letter.shown > 1 {
			l.fault("%s: an envelope (accepted: %v) was shown %d times", letter.to.name, letter.accepted, letter.shown)
		}
	}
	for d, q := range l.queues {
		if n := uint64(len(q.bySeq)); n != q.newest {
			l.fault("%s: %d of the numbers up to %d were given", d.name, n, q.newest)
		}
	}
	faults = l.faults
	l.faults = nil
	return faults
}

// publishing notes a bundle before it goes out.
func (l *ledger) publishing(d *device, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bundles[d] == nil {
		l.bundles[d] = &published{sure: -1, maybe: map[int]bool{}}
	}
	l.bundles[d].maybe[n] = true
}

// confirmed notes that the directory has a bundle.
func (l *ledger) confirmed(d *device, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bundles[d].sure = n
	clear(l.bundles[d].maybe)
}

// looked holds a fetched bundle against what was published.
func (l *ledger) looked(d *device, bundle []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.bundles[d]
	for n, b := range d.Bundles {
		if bytes.Equal(b, bundle) {
			if n != p.sure && !p.maybe[n] {
				l.fault("%s: the directory has bundle %d, confirmed is %d", d.name, n, p.sure)
			}
			return
		}
	}
	l.fault("%s: the directory has a bundle that it never published", d.name)
}
