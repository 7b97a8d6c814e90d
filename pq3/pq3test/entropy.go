// Package pq3test makes conversations of package pq3 reproducible: entropy,
// devices and stores that depend on a seed alone. It is for tests and vectors
// only; its randomness is public.
package pq3test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"io"
)

// Entropy is an AES-CTR stream keyed by a seed, as pq3.Entropy. It is not safe
// for concurrent use.
type Entropy struct{ stream cipher.Stream }

// NewEntropy makes the stream that belongs to a seed.
func NewEntropy(seed string) *Entropy {
	key := sha256.Sum256([]byte("posthorn test entropy " + seed))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a 32-byte key is always accepted
	}
	return &Entropy{stream: cipher.NewCTR(block, make([]byte, aes.BlockSize))}
}

// Read fills p with the next bytes of the stream.
func (e *Entropy) Read(p []byte) {
	clear(p)
	e.stream.XORKeyStream(p, p)
}

// Encapsulate is ML-KEM with its 32 random bytes taken from the stream.
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
		panic("pq3test: not an ML-KEM key")
	}
	if err != nil {
		panic(err) // 32 random bytes are always accepted
	}
	return sharedSecret, ciphertext
}

// SignReader is nil: ECDSA is deterministic by RFC 6979.
func (e *Entropy) SignReader() io.Reader { return nil }
