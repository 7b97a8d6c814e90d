package localdb

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/internal/vectors"
)

type gcmGroup struct {
	KeyBits   int `json:"keySize"`
	NonceBits int `json:"ivSize"`
	Tests     []gcmTest
}

type gcmTest struct {
	ID         int         `json:"tcId"`
	Key        vectors.Hex `json:"key"`
	Nonce      vectors.Hex `json:"iv"`
	Associated vectors.Hex `json:"aad"`
	Plain      vectors.Hex `json:"msg"`
	Ciphertext vectors.Hex `json:"ct"`
	Tag        vectors.Hex `json:"tag"`
	Result     string      `json:"result"`
}

// TestVectorsAESGCM opens the published boxes with the cipher that seals
// columns. A column's associated data is always its place, so a vector's is
// passed to the cipher below that rule.
func TestVectorsAESGCM(t *testing.T) {
	tally := vectors.Count(t, "client/localdb", vectors.AESGCM)
	for _, g := range vectors.Groups[gcmGroup](t, vectors.AESGCM) {
		for _, c := range g.Tests {
			switch {
			case g.KeyBits != 256:
				tally.Skipped(vectors.OtherKeySize)
			case g.NonceBits != 96:
				tally.Skipped(vectors.OtherNonce)
			default:
				tally.Ran(runGCM(t, c))
			}
		}
	}
}

func runGCM(t *testing.T, c gcmTest) string {
	t.Helper()
	key := secret.Key(c.Key)
	s, err := newSealer(&key)
	if err != nil {
		t.Fatal(err)
	}
	sealed := slices.Concat(c.Nonce, c.Ciphertext, c.Tag)
	plain, err := s.aead.Open(nil, nil, sealed, c.Associated)
	if c.Result == "invalid" {
		if err == nil {
			t.Errorf("%d: an invalid box opens", c.ID)
		}
		if _, err := s.open("table.column", nil, sealed); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d: as a column: %v", c.ID, err)
		}
		return vectors.Refused
	}
	if err != nil || !bytes.Equal(plain, c.Plain) {
		t.Errorf("%d: another plaintext, %v", c.ID, err)
	}
	again := s.seal("table.column", c.Associated, c.Plain)
	if back, err := s.open("table.column", c.Associated, again); err != nil || !bytes.Equal(back, c.Plain) {
		t.Errorf("%d: as a column: %v", c.ID, err)
	}
	return vectors.Opened
}
