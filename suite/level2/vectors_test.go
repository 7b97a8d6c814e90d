package level2_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/posthorn/posthorn/internal/vectors"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level2"
)

// TestVectorsKEM opens the published ciphertexts as those of a start.
func TestVectorsKEM(t *testing.T) {
	tally := vectors.Count(t, "suite/level2", vectors.KEM1024)
	for _, c := range vectors.KEM(t, vectors.KEM1024) {
		shared, err := level2.Decapsulate(c.Seed, c.Ciphertext)
		switch {
		case len(c.Seed) != 64 && errors.Is(err, suite.ErrPrekey):
			tally.Ran(vectors.SeedLength)
		case len(c.Ciphertext) != 1568 && errors.Is(err, suite.ErrMalformed):
			tally.Ran(vectors.CTLength)
		case err == nil && bytes.Equal(shared, c.Secret):
			tally.Ran(vectors.Decapsed)
		default:
			t.Errorf("%d: %x, %v", c.ID, shared, err)
		}
	}
}
