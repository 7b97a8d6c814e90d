// Package pq3test makes conversations of package pq3 reproducible: entropy,
// devices and stores that depend on a seed alone. It is for tests and vectors
// only; its randomness is public.
package pq3test

import (
	"crypto/sha256"

	"github.com/posthorn/posthorn/suite/seeded"
)

// Entropy is pq3.Entropy that depends on a seed. It is not safe for concurrent
// use.
type Entropy = seeded.Entropy

// NewEntropy makes the stream that belongs to a seed. The vectors hang on how.
func NewEntropy(seed string) *Entropy {
	return seeded.FromKey(sha256.Sum256([]byte("posthorn test entropy " + seed)))
}
