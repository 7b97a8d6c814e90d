package level3_test

import (
	"bytes"
	"testing"

	"github.com/posthorn/posthorn/internal/vectors"
	"github.com/posthorn/posthorn/suite/level3"
)

// TestVectorsKEM opens the published ciphertexts with the exported derivation.
func TestVectorsKEM(t *testing.T) {
	for file, size := range map[string]int{vectors.KEM768: 1088, vectors.KEM1024: 1568} {
		tally := vectors.Count(t, "suite/level3", file)
		for _, c := range vectors.KEM(t, file) {
			shared, err := level3.Decapsulate(c.Seed, c.Ciphertext)
			switch {
			case len(c.Seed) != 64 && err != nil:
				tally.Ran(vectors.SeedLength)
			case len(c.Ciphertext) != size && err != nil:
				tally.Ran(vectors.CTLength)
			case err == nil && bytes.Equal(shared, c.Secret):
				tally.Ran(vectors.Decapsed)
			default:
				t.Errorf("%s %d: %x, %v", file, c.ID, shared, err)
			}
		}
	}
}
