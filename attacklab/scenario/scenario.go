// Package scenario reads the lab's scenarios: text files that say who writes
// how much and when, what the network does to it, and which attackers come.
//
//	# Lines that begin with # and empty lines are ignored.
//	scenario   bursts-of-10
//	title      Bursts of ten
//	about      Each side writes ten messages before the other answers.
//	seed       1
//	devices    alice bob
//	messages   300
//	turns      10 10
//	gap        5s
//	pause      2m
//	network    latency 200ms..900ms
//	attack     recording + quantum
//	attack     seize bob at random + quantum
//
// Everything that is left to chance comes from the seed. Parse is strict: an
// unknown word, a word twice or a value out of bounds is an error with its line.
package scenario

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Scenario is one conversation and the attackers on it. SPEC knows nothing of
// it: the protocol is the same whoever listens.
type Scenario struct {
	Name  string // lower-case letters, digits and hyphens; at most 40 bytes
	Title string
	About string
	Seed  uint64
	Text  string // the file it was read from

	// Devices are named after their owner, with a hyphen and a kind for further
	// ones: "alice", "bob", "bob-laptop". There are two owners and at most four
	// devices.
	Devices []string

	Messages  int           // texts that people write, 2 to 20,000
	Turns     [2]Range      // how many each of the two owners writes in a row
	Gap       Span          // between texts of one turn
	Pause     Span          // between turns
	Network   Network       // what happens to messages on their way
	Away      []Absence     // when a device is not reachable
	Receipts  bool          // a device confirms what it opened, two seconds later
	Keepalive time.Duration // a device that wrote nothing to a peer for so long sends an empty message; 0: never
	Figures   bool          // run long enough for the table of bytes and rekeys

	Attacks []Attack
	Actives []Active
}

// Range is a number from Low to High, both included.
type Range struct{ Low, High int }

// Span is a duration from Low to High.
type Span struct{ Low, High time.Duration }

// Network delays every message by Latency, holds some back by Late more, and
// loses some. The shares are in percent.
type Network struct {
	Latency Span
	Loss    int
	Reorder int
	Late    Span
}

// Absence is a time, counted from the start, in which a device is not reached
// and writes nothing.
type Absence struct {
	Device   string
	From, To time.Duration
}

// Attack is one attacker who only listens, and what it has.
type Attack struct {
	Server    bool // what the server stores, and no more
	Recording bool // every byte on every wire
	Quantum   bool // later, the private half of each classical key it saw
	KEM       bool // later, ML-KEM is broken and P-256 is not
	Seizures  []Seizure
}

// Seizure copies all of a device's stored state just before a text is written.
type Seizure struct {
	Device string
	Where  Where
	At     int // for AtMessage: the number of the text, from 0
}

// Where says how the moment of a seizure is chosen.
type Where uint8

// The moments: before text number two, at a moment that the seed chooses, or
// before the text of a number.
const (
	AtStart Where = iota
	AtRandom
	AtMessage
)

// Active is an attack that sends something.
type Active string

// The active attacks.
const (
	Impersonate Active = "impersonate" // start a session as somebody else
	Edit        Active = "edit"        // change a message on its way and sign it again
	Strip       Active = "strip"       // cut the rekey objects out of messages
	Withhold    Active = "withhold"    // drop every message that carries them
	Replay      Active = "replay"      // deliver a recorded session start again
)

var actives = []Active{Impersonate, Edit, Strip, Withhold, Replay}

// Owner is the person to whom a device belongs.
func Owner(device string) string {
	owner, _, _ := strings.Cut(device, "-")
	return owner
}

// Owners are the two people, in the order of their first devices.
func (s *Scenario) Owners() (owners []string) {
	for _, d := range s.Devices {
		if !slices.Contains(owners, Owner(d)) {
			owners = append(owners, Owner(d))
		}
	}
	return owners
}

// Reachable reports whether a device is there, and if not, when it will be.
func (s *Scenario) Reachable(device string, since time.Duration) (back time.Duration, there bool) {
	back, there = since, true
	for _, a := range s.Away {
		if a.Device == device && since >= a.From && since < a.To {
			back, there = max(back, a.To), false
		}
	}
	return back, there
}

// String names an attack, the same as the line that Parse reads.
func (a Attack) String() string {
	var parts []string
	add := func(has bool, word string) {
		if has {
			parts = append(parts, word)
		}
	}
	add(a.Server, "server")
	add(a.Recording, "recording")
	for _, s := range a.Seizures {
		parts = append(parts, s.String())
	}
	add(a.Quantum, "quantum")
	add(a.KEM, "kem-broken")
	return strings.Join(parts, " + ")
}

// String is "seize DEVICE at WHERE".
func (s Seizure) String() string { return "seize " + s.Device + " at " + s.place() }

// Shortened keeps at most n texts and the attacks that fit into them. It is
// how a quick run is made; a scenario never gets longer.
func (s Scenario) Shortened(n int) *Scenario {
	s.Messages = min(s.Messages, n)
	s.Attacks = slices.Clone(s.Attacks)
	for i := range s.Attacks {
		s.Attacks[i].Seizures = slices.Clone(s.Attacks[i].Seizures)
		for j := range s.Attacks[i].Seizures {
			at := &s.Attacks[i].Seizures[j].At
			*at = min(*at, s.Messages-1)
		}
	}
	return &s
}

// byName orders scenarios for listing.
func byName(a, b *Scenario) int { return cmp.Compare(a.Name, b.Name) }
