// Package attack is the attacker: real code that turns recordings, seized
// states and an oracle's answers into plaintexts, by deriving keys and
// decrypting. It gets nothing else. It does not import the simulation, and
// internal/arch keeps it so; the parsers and key schedules that it uses are the
// public ones of package suite, which anyone could write from the
// specifications.
package attack

import (
	"slices"

	"github.com/posthorn/posthorn/attacklab/compromise"
	"github.com/posthorn/posthorn/attacklab/harvest"
)

// Inputs are all that an attacker has. Whatever is nil, it has not.
type Inputs struct {
	Recording *harvest.Recording
	Server    *harvest.Server
	Seized    []compromise.Seized
	Quantum   Quantum
	KEM       KEM
}

// Quantum gives the private half of a classical public key that the attacker
// has seen.
type Quantum interface {
	P256(x []byte) ([]byte, error)
	X25519(public []byte) ([]byte, error)
}

// KEM opens an ML-KEM ciphertext without the private key.
type KEM interface {
	Secret(encapsulationKey, ciphertext []byte) ([]byte, error)
}

// Via says what made a message readable. Of two reasons the lower one counts.
type Via uint8

const (
	// Stored: the server keeps the text in the clear.
	Stored Via = iota + 1
	// StolenPrekey: with the private half of a prekey that a seized device still
	// held.
	StolenPrekey
	// StolenState: with keys of a session in a seized state.
	StolenState
	// Derived: from public values and an oracle's answers alone.
	Derived
)

// String is a few words for a table.
func (v Via) String() string {
	switch v {
	case Stored:
		return "stored in the clear"
	case StolenPrekey:
		return "stolen prekey"
	case StolenState:
		return "stolen session"
	case Derived:
		return "derived from the recording"
	}
	return "unknown"
}

// Plaintext is what the attacker claims that a frame says.
type Plaintext struct {
	Frame int
	Text  []byte
	Via   Via
}

// Attacker tries to read a conversation. The answer is in the order of frames,
// one plaintext a frame at most.
type Attacker func(Inputs) []Plaintext

// On is the attacker on a level, by the level's name in package suite, or nil.
func On(level string) Attacker {
	switch level {
	case "level0":
		return level0Attack
	case "level1", "level2", "level3-sparse":
		return doubleRatchetAttack(level)
	case "level3", "level3-pq3", "level3-repeat", "level3-pq3-repeat":
		return level3Attack
	}
	return nil
}

// claims collects plaintexts, the first for each frame.
type claims map[int]Plaintext

func (c claims) add(frame int, text []byte, via Via) {
	if _, have := c[frame]; !have {
		c[frame] = Plaintext{frame, text, via}
	}
}

func (c claims) sorted() (all []Plaintext) {
	for _, p := range c {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Plaintext) int { return a.Frame - b.Frame })
	return all
}
