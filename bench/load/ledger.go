package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posthorn/posthorn/client/transport"
)

// ledger knows every envelope of a run: what it holds, whether the server
// accepted it, and how often it arrived. It is safe for concurrent use once
// all envelopes are in it.
type ledger struct {
	run     [8]byte
	started time.Time
	entries []*entry
	crashes bool // servers are killed in the run

	repeats atomic.Int64 // deliveries that a crash explains and a device drops by id

	mu     sync.Mutex
	faults []string // the first few, in words
	wrong  int
}

// entry is one envelope. Times are nanoseconds since the run began, 0: not yet.
type entry struct {
	to      *mailbox
	from    int // which sender, for the order of its messages in a mailbox
	place   uint32
	payload []byte

	sent, accepted, arrived atomic.Int64
}

// mailbox is one receiving device's side of the account.
type mailbox struct {
	device *device
	mu     sync.Mutex
	head   uint64         // the last sequence number seen
	acked  uint64         // what the server has confirmed
	latest map[int]uint32 // by sender, the place of its last message here
}

func newMailbox(d *device) *mailbox { return &mailbox{device: d, latest: map[int]uint32{}} }

func newLedger(crashes bool) *ledger {
	l := &ledger{started: time.Now(), crashes: crashes}
	_, _ = rand.Read(l.run[:])
	return l
}

// add enters one envelope and returns its id.
func (l *ledger) add(to *mailbox, from int, place uint32, payload []byte) (id [16]byte) {
	copy(id[:], l.run[:])
	binary.BigEndian.PutUint64(id[8:], uint64(len(l.entries)))
	l.entries = append(l.entries, &entry{to: to, from: from, place: place, payload: payload})
	return id
}

func (l *ledger) find(id [16]byte) *entry {
	n := binary.BigEndian.Uint64(id[8:])
	if [8]byte(id[:8]) != l.run || n >= uint64(len(l.entries)) {
		return nil
	}
	return l.entries[n]
}

// now is the time of the run, never 0.
func (l *ledger) now() int64 { return max(1, int64(time.Since(l.started))) }

func (l *ledger) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrong++; len(l.faults) < 10 {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// repeat is a fault, but for a crash.
func (l *ledger) repeat(format string, args ...any) {
	if l.crashes {
		l.repeats.Add(1)
		return
	}
	l.fault(format, args...)
}

// deliver enters what a mailbox was given. What it had acknowledged must not
// come again unless a server crashed; what it had merely seen may.
func (l *ledger) deliver(m *mailbox, d transport.Delivery, now int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.Seq <= m.acked {
		l.repeat("sequence number %d came again after its ack", d.Seq)
		return
	}
	if d.Seq <= m.head {
		return // seen, and the ack was lost
	}
	if d.Seq != m.head+1 {
		l.fault("sequence numbers %d to %d are missing", m.head+1, d.Seq-1)
	}
	m.head = d.Seq
	e := l.find(d.ID)
	switch {
	case e == nil:
		return // of another run
	case e.to != m:
		l.fault("an envelope for another mailbox arrived")
	case !bytes.Equal(e.payload, d.Payload):
		l.fault("an envelope arrived with other bytes")
	case !e.arrived.CompareAndSwap(0, now):
		l.repeat("an envelope is in its mailbox twice")
	case e.place < m.latest[e.from]:
		l.fault("a sender's messages changed their order")
	default:
		m.latest[e.from] = e.place
	}
}

// seen is the highest sequence number that arrived.
func (m *mailbox) seen() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head
}

// confirm notes an ack that the server has answered.
func (m *mailbox) confirm(seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acked = max(m.acked, seq)
}

// outstanding counts accepted envelopes that have not arrived.
func (l *ledger) outstanding() (n int) {
	for _, e := range l.entries {
		if e.accepted.Load() != 0 && e.arrived.Load() == 0 {
			n++
		}
	}
	return n
}

// accepted counts what the server answered for.
func (l *ledger) acceptedCount() (n int) {
	for _, e := range l.entries {
		if e.accepted.Load() != 0 {
			n++
		}
	}
	return n
}

// longestGap is the longest time between two answers of the server that
// accepted something.
func (l *ledger) longestGap() (longest time.Duration) {
	var times []int64
	for _, e := range l.entries {
		if at := e.accepted.Load(); at != 0 {
			times = append(times, at)
		}
	}
	slices.Sort(times)
	for i := 1; i < len(times); i++ {
		longest = max(longest, time.Duration(times[i]-times[i-1]))
	}
	return longest
}

// delays are the times from sending to arrival, for those that arrived.
func (l *ledger) delays() (all []time.Duration) {
	for _, e := range l.entries {
		if sent, arrived := e.sent.Load(), e.arrived.Load(); sent != 0 && arrived != 0 {
			all = append(all, time.Duration(arrived-sent))
		}
	}
	return all
}
