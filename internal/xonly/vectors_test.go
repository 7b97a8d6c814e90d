package xonly

import (
	"bytes"
	"crypto/ecdh"
	"testing"

	"github.com/posthorn/posthorn/internal/vectors"
)

// TestVectorsECDH lifts the x-coordinate of every published point and agrees
// on the stated secret. What the files give in another form than 32 bytes is
// refused in that form, points of P-256 included.
func TestVectorsECDH(t *testing.T) {
	for _, file := range vectors.ECDHFiles() {
		t.Run(file, func(t *testing.T) {
			tally := vectors.Count(t, "internal/xonly", file)
			for _, c := range vectors.ECDH(t, file) {
				tally.Ran(runECDH(t, c))
			}
		})
	}
}

func runECDH(t *testing.T, c vectors.ECDHTest) string {
	t.Helper()
	if key, err := Lift(c.Encoded); err == nil || key != nil {
		t.Errorf("%d: the %d-byte encoding was lifted", c.ID, len(c.Encoded))
	}
	lifted, err := Lift(c.X)
	switch {
	case c.Valid() && err != nil:
		t.Errorf("%d: a valid point was refused", c.ID)
	case c.Valid():
		if shared := agreeWith(t, c.Private, lifted); !bytes.Equal(shared, c.Shared) {
			t.Errorf("%d: secret %x, want %x", c.ID, shared, c.Shared)
		}
		return vectors.Agreed
	case c.X != nil && err != nil:
		return vectors.OffCurve
	}
	return vectors.OtherForm
}

// agreeWith makes the private key as the product does, from drawn bytes.
func agreeWith(t *testing.T, scalar []byte, peer *ecdh.PublicKey) []byte {
	t.Helper()
	drawn := false
	key := NewKey(func(p []byte) {
		if drawn {
			t.Fatal("a valid scalar was thrown away")
		}
		drawn = true
		copy(p, scalar)
	})
	shared, err := key.ECDH(peer)
	if err != nil {
		t.Fatal(err)
	}
	return shared
}
