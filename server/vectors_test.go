package server

import (
	"bytes"
	"testing"

	"github.com/posthorn/posthorn/internal/vectors"
)

// TestVectorsHMAC256 runs the published tags through the MAC of login
// challenges and tokens, which keeps the first 16 bytes.
func TestVectorsHMAC256(t *testing.T) {
	tally := vectors.Count(t, "server", vectors.HMAC256)
	for _, c := range vectors.MACs(t, vectors.HMAC256) {
		if len(c.Key) != 32 {
			tally.Skipped(vectors.OtherKeySize)
			continue
		}
		got := tag([32]byte(c.Key), c.Msg)
		same := bytes.Equal(got, c.Tag[:macSize])
		switch {
		case c.Valid():
			if !same {
				t.Errorf("%d: tag %x, want %x", c.ID, got, c.Tag[:macSize])
			}
			tally.Ran(vectors.TagEqual)
		case same && len(c.Tag) > macSize:
			tally.Skipped(vectors.CutTag)
		case same:
			t.Errorf("%d: the modified tag is computed", c.ID)
		default:
			tally.Ran(vectors.TagOther)
		}
	}
}
