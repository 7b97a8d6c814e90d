package server

import (
	"bytes"
	"testing"

	"github.com/posthorn/posthorn/internal/vectors"
)

type macGroup struct {
	KeyBits int `json:"keySize"`
	Tests   []struct {
		ID     int         `json:"tcId"`
		Key    vectors.Hex `json:"key"`
		Msg    vectors.Hex `json:"msg"`
		Tag    vectors.Hex `json:"tag"`
		Result string      `json:"result"`
	}
}

// TestVectorsHMAC256 runs the published tags through the MAC of login
// challenges, which keeps the first 16 bytes.
func TestVectorsHMAC256(t *testing.T) {
	tally := vectors.Count(t, "server", vectors.HMAC256)
	for _, g := range vectors.Groups[macGroup](t, vectors.HMAC256) {
		for _, c := range g.Tests {
			if g.KeyBits != 256 {
				tally.Skipped(vectors.OtherKeySize)
				continue
			}
			got := (&challenges{key: [32]byte(c.Key)}).mac(c.Msg)
			same := bytes.Equal(got, c.Tag[:challengeMAC])
			switch {
			case c.Result == "valid":
				if !same {
					t.Errorf("%d: tag %x, want %x", c.ID, got, c.Tag[:challengeMAC])
				}
				tally.Ran(vectors.TagEqual)
			case same && len(c.Tag) > challengeMAC:
				tally.Skipped(vectors.CutTag)
			case same:
				t.Errorf("%d: the modified tag is computed", c.ID)
			default:
				tally.Ran(vectors.TagOther)
			}
		}
	}
}
