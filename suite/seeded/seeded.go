// Package seeded is entropy that depends on a seed alone, so that a run of the
// attack lab can be repeated to the byte. Whoever knows the seed knows every
// key: it is for simulations, and neither client nor server may import it.
package seeded

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"io"
)

// Entropy is an AES-256-CTR stream under the hash of a seed. It is a
// suite.Entropy and a pq3.Entropy. It is not safe for concurrent use.
type Entropy struct{ stream cipher.Stream }

// New makes the stream that belongs to a seed.
func New(seed string) *Entropy {
	return FromKey(sha256.Sum256([]byte("posthorn/seeded/v1" + seed)))
}

// FromKey makes the stream under a key of the caller's.
func FromKey(key [32]byte) *Entropy {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("seeded: AES refused a 32-byte key: " + err.Error())
	}
	return &Entropy{stream: cipher.NewCTR(block, make([]byte, aes.BlockSize))}
}

// Read fills p with the next bytes of the stream.
func (e *Entropy) Read(p []byte) {
	clear(p)
	e.stream.XORKeyStream(p, p)
}

// Encapsulate is ML-KEM with its 32 random bytes taken from the stream. It
// panics for a key of any other kind.
func (e *Entropy) Encapsulate(ek crypto.Encapsulator) (sharedSecret, ciphertext []byte) {
	var m [32]byte
	e.Read(m[:])
	var err error
	switch key := ek.(type) {
	case *mlkem.EncapsulationKey768:
		sharedSecret, ciphertext, err = mlkemtest.Encapsulate768(key, m[:])
	case *mlkem.EncapsulationKey1024:
		sharedSecret, ciphertext, err = mlkemtest.Encapsulate1024(key, m[:])
	default:
		panic("seeded: not an ML-KEM key")
	}
	if err != nil {
		panic("seeded: ML-KEM refused 32 random bytes: " + err.Error())
	}
	return sharedSecret, ciphertext
}

// SignReader is nil: signatures are deterministic.
func (e *Entropy) SignReader() io.Reader { return nil }
