package pq3

import (
	"crypto"
	"crypto/rand"
	"io"

	"github.com/posthorn/posthorn/internal/secret"
)

// Entropy is the only source of randomness of the protocol core (SPEC §3.4).
// Nothing else in this package draws a random bit, so a deterministic Entropy
// makes a whole conversation reproducible.
type Entropy interface {
	// Read fills p with seeds for P-256 and ML-KEM key pairs.
	Read(p []byte)
	// Encapsulate makes a shared secret (32 bytes) and its ciphertext for ek.
	// It is a method because Go offers the seedable form to tests only.
	Encapsulate(ek crypto.Encapsulator) (sharedSecret, ciphertext []byte)
	// SignReader is handed to the device's signers. Nil asks for deterministic
	// ECDSA (RFC 6979).
	SignReader() io.Reader
}

// drawing is Read for seeds of a kind of key, in the words of SPEC §2.
func drawing(ent Entropy, kind string) func([]byte) {
	return func(p []byte) {
		ent.Read(p)
		secret.Created(kind, p)
	}
}

// SystemEntropy draws from the operating system. It is safe for concurrent
// use.
func SystemEntropy() Entropy { return systemEntropy{} }

type systemEntropy struct{}

// Read cannot fail: crypto/rand ends the process when the system has no
// randomness to give.
func (systemEntropy) Read(p []byte) { _, _ = rand.Read(p) }

// formal: kem-encapsulate
func (systemEntropy) Encapsulate(ek crypto.Encapsulator) ([]byte, []byte) {
	return ek.Encapsulate()
}

func (systemEntropy) SignReader() io.Reader { return rand.Reader }
