// Package oracle stands for machines that do not exist yet. Quantum stands for
// a quantum computer: it turns a classical public key into its private key.
// KEM stands for a broken ML-KEM instead: it opens ciphertexts.
//
// Neither computes anything. A Table remembers the key pairs that a simulation
// made, and an oracle looks one up. What an oracle may do is narrow on purpose
// (docs/adr/0023-attack-lab.md): it answers only for a public value that lies
// in what the attacker holds, it gives no symmetric key, no root, no message
// key and no plaintext, and it counts every question.
package oracle

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/mlkem"
	"errors"
	"slices"
	"sync"
)

// ErrNotSeen says that the attacker asked about a value that it does not hold.
var ErrNotSeen = errors.New("oracle: this value lies in nothing that the attacker holds, so it was not looked up")

// ErrUnknown says that nobody in the simulation made such a key. A real
// quantum computer would answer; the lab cannot.
var ErrUnknown = errors.New("oracle: no key pair of this simulation has this public half")

// Table is every key pair that a simulation made, found by its public half. It
// is filled by the simulation and safe for concurrent use after that.
type Table struct {
	draws [][]byte
	once  sync.Once

	p256, x25519, ed25519 map[string][]byte
	kem768                map[string]*mlkem.DecapsulationKey768
	kem1024               map[string]*mlkem.DecapsulationKey1024
}

// Note remembers the seed of a key pair: 32 bytes for the curves, 64 for
// ML-KEM. Other lengths are no keys.
func (t *Table) Note(seed []byte) { t.draws = append(t.draws, seed) }

// index finds the public half of each seed under every algorithm it could be
// for. A seed of one algorithm is never a public key of another by accident.
func (t *Table) index() {
	t.p256, t.x25519, t.ed25519 = map[string][]byte{}, map[string][]byte{}, map[string][]byte{}
	t.kem768 = map[string]*mlkem.DecapsulationKey768{}
	t.kem1024 = map[string]*mlkem.DecapsulationKey1024{}
	for _, seed := range t.draws {
		switch len(seed) {
		case 32:
			t.indexCurves(seed)
		case 64:
			t.indexKEM(seed)
		}
	}
}

func (t *Table) indexCurves(seed []byte) {
	if key, err := ecdh.P256().NewPrivateKey(seed); err == nil {
		t.p256[string(key.PublicKey().Bytes()[1:33])] = seed
	}
	if key, err := ecdh.X25519().NewPrivateKey(seed); err == nil {
		t.x25519[string(key.PublicKey().Bytes())] = seed
	}
	t.ed25519[string(ed25519.NewKeyFromSeed(seed)[32:])] = seed
}

func (t *Table) indexKEM(seed []byte) {
	if key, err := mlkem.NewDecapsulationKey768(seed); err == nil {
		t.kem768[string(key.EncapsulationKey().Bytes())] = key
	}
	if key, err := mlkem.NewDecapsulationKey1024(seed); err == nil {
		t.kem1024[string(key.EncapsulationKey().Bytes())] = key
	}
}

// Sight is what an attacker holds. Holds reports whether a value lies in it.
type Sight interface{ Holds(value []byte) bool }

// Quantum turns classical public keys into private ones. It is safe for
// concurrent use if its Sight is.
type Quantum struct {
	table *Table
	sight Sight
	count counter
}

// NewQuantum answers from table for what lies in sight.
func NewQuantum(table *Table, sight Sight) *Quantum { return &Quantum{table: table, sight: sight} }

// P256 gives the scalar, 32 bytes, behind the x-coordinate of a P-256 key.
// Errors: ErrNotSeen, ErrUnknown.
func (q *Quantum) P256(x []byte) ([]byte, error) {
	q.table.once.Do(q.table.index)
	return q.look(q.table.p256, x)
}

// X25519 gives the private key, 32 bytes, behind an X25519 key. Errors:
// ErrNotSeen, ErrUnknown.
func (q *Quantum) X25519(public []byte) ([]byte, error) {
	q.table.once.Do(q.table.index)
	return q.look(q.table.x25519, public)
}

// Ed25519 gives the seed, 32 bytes, behind an Ed25519 key. Errors: ErrNotSeen,
// ErrUnknown.
func (q *Quantum) Ed25519(public []byte) ([]byte, error) {
	q.table.once.Do(q.table.index)
	return q.look(q.table.ed25519, public)
}

// Questions is how often the oracle was asked.
func (q *Quantum) Questions() int { return q.count.value() }

func (q *Quantum) look(keys map[string][]byte, public []byte) ([]byte, error) {
	q.count.add()
	if !q.sight.Holds(public) {
		return nil, ErrNotSeen
	}
	private, ok := keys[string(public)]
	if !ok {
		return nil, ErrUnknown
	}
	return append([]byte(nil), private...), nil
}

// KEM opens ML-KEM ciphertexts without the private key. It is safe for
// concurrent use if its Sight is.
type KEM struct {
	table *Table
	sight Sight
	count counter
}

// NewKEM answers from table for what lies in sight.
func NewKEM(table *Table, sight Sight) *KEM { return &KEM{table: table, sight: sight} }

// Secret gives the shared secret, 32 bytes, that ciphertext carries to the
// holder of the encapsulation key. Both must have been seen. Errors:
// ErrNotSeen, ErrUnknown.
func (k *KEM) Secret(encapsulationKey, ciphertext []byte) ([]byte, error) {
	k.table.once.Do(k.table.index)
	k.count.add()
	if !k.sees(encapsulationKey) || !k.sees(ciphertext) {
		return nil, ErrNotSeen
	}
	var secret []byte
	var err error = ErrUnknown
	if key, ok := k.table.kem768[string(encapsulationKey)]; ok {
		secret, err = key.Decapsulate(ciphertext)
	} else if key, ok := k.table.kem1024[string(encapsulationKey)]; ok {
		secret, err = key.Decapsulate(ciphertext)
	}
	if err != nil {
		return nil, ErrUnknown
	}
	return secret, nil
}

// pieceSize is how long the pieces are in which the sparse ratchet sends its
// objects.
const pieceSize = 32

// sees accepts a value that was seen in one, or piece by piece.
func (k *KEM) sees(value []byte) bool {
	if k.sight.Holds(value) {
		return true
	}
	for piece := range slices.Chunk(value, pieceSize) {
		if !k.sight.Holds(piece) {
			return false
		}
	}
	return len(value) > 0
}

// Questions is how often the oracle was asked.
func (k *KEM) Questions() int { return k.count.value() }

// counter counts questions from several attackers at once.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add() {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
}

func (c *counter) value() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
