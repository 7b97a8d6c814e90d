// Package simulation plays a scenario on a level: real devices of package
// suite, a simulated network, simulated time. It writes down what crossed the
// wires and what the server stored, for attackers, and keeps apart what only
// the simulation knows: the plaintexts, the key pairs and every device at every
// moment. Equal scenarios, levels and seeds give equal bytes.
package simulation

import (
	"crypto"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/attacklab/compromise"
	"github.com/posthorn/posthorn/attacklab/harvest"
	"github.com/posthorn/posthorn/attacklab/oracle"
	"github.com/posthorn/posthorn/attacklab/scenario"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/seeded"
)

// start is when every simulation begins.
var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// Sent is the truth about one frame.
type Sent struct {
	Frame    int
	At       time.Time
	From, To string
	Text     []byte // what was sealed
	Message  int    // number of the text that people wrote; -1 for receipts and the like
	Written  int    // how many texts had been written when it was sent, itself included
	Opened   int    // how many had been written when it was opened; -1 if it never was
	Anatomy  suite.Anatomy
	Rekeys   int // KEM rekeys of this pair that were complete after it was sealed
}

// Past reports whether a device had sealed or opened the frame before text
// number message was written.
func (s *Sent) Past(device string, message int) bool {
	switch device {
	case s.From:
		return s.Written <= message
	case s.To:
		return s.Opened >= 0 && s.Opened <= message
	}
	return false
}

// Run is a conversation that has taken place.
type Run struct {
	Scenario  *scenario.Scenario
	Suite     suite.Suite
	Recording *harvest.Recording
	Server    *harvest.Server
	Table     *oracle.Table
	Sent      []Sent // by frame
	Unopened  int    // frames that arrived and could never be opened
	moments   []moment
}

// moment is every device just before a text was written.
type moment struct {
	at      time.Time
	parties []suite.Party
}

// Play runs a scenario on a level with a seed.
func Play(s *scenario.Scenario, level suite.Suite, seed uint64) (*Run, error) {
	table := &oracle.Table{}
	stage := &stage{
		run: &Run{
			Scenario: s, Suite: level, Table: table,
			Recording: &harvest.Recording{}, Server: &harvest.Server{},
		},
		keys:   &noting{Entropy: seeded.New(fmt.Sprintf("%s/%s/%d/keys", s.Name, level.Name(), seed)), table: table},
		chance: chance{seeded.New(fmt.Sprintf("%s/%d/chance", s.Name, seed))},
	}
	if err := stage.open(); err != nil {
		return nil, fmt.Errorf("simulation: %s on %s: %w", s.Name, level.Name(), err)
	}
	if err := stage.play(); err != nil {
		return nil, fmt.Errorf("simulation: %s on %s: %w", s.Name, level.Name(), err)
	}
	stage.close()
	return stage.run, nil
}

// Seize copies the state of a device just before a text is written.
func (r *Run) Seize(device string, message int) compromise.Seized {
	m := r.moments[message]
	for i, name := range r.Scenario.Devices {
		if name == device {
			return compromise.Seized{Device: device, At: m.at, State: m.parties[i].State()}
		}
	}
	panic("simulation: no device " + device)
}

// Written is how many texts people wrote.
func (r *Run) Written() int { return len(r.moments) }

// Start is when the conversation began.
func (r *Run) Start() time.Time { return start }

// MomentOf is when a text was written.
func (r *Run) MomentOf(message int) time.Time { return r.moments[message].at }

// noting is entropy that tells the oracle's table of every seed. What goes
// into an encapsulation or a signature is not told.
type noting struct {
	*seeded.Entropy
	table *oracle.Table
}

func (n *noting) Read(p []byte) {
	n.Entropy.Read(p)
	n.table.Note(append([]byte(nil), p...))
}

// Encapsulate draws from the stream itself, past Read.
func (n *noting) Encapsulate(ek crypto.Encapsulator) (sharedSecret, ciphertext []byte) {
	return n.Entropy.Encapsulate(ek)
}

// chance decides what a scenario leaves open.
type chance struct{ *seeded.Entropy }

// between is a number from low to high, both included. The bias of the
// remainder is below 2^-20 for all that a scenario can ask.
func (c chance) between(low, high int64) int64 {
	var b [8]byte
	c.Read(b[:])
	var n uint64
	for _, digit := range b {
		n = n<<8 | uint64(digit)
	}
	return low + int64(n%uint64(high-low+1))
}

func (c chance) span(s scenario.Span) time.Duration {
	low, high := s.Low.Milliseconds(), s.High.Milliseconds()
	return time.Duration(c.between(low, high)) * time.Millisecond
}

func (c chance) percent(share int) bool { return c.between(0, 99) < int64(share) }

// Device is a device just before a text was written, alive. Only the stage may
// use it: an attacker gets Seize.
func (r *Run) Device(device string, message int) suite.Party {
	for i, name := range r.Scenario.Devices {
		if name == device {
			return r.moments[message].parties[i]
		}
	}
	panic("simulation: no device " + device)
}
