package api

import (
	"bytes"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/decodertest"
)

// FuzzAuthBytes reads the signed bytes of a login back, which nobody does in
// the product: if every field can be read, no two logins have the same bytes.
func FuzzAuthBytes(f *testing.F) {
	decodertest.Seed(f, "login", "127.0.0.1:7480", make([]byte, ChallengeSize), []byte{1})
	decodertest.Seed(f, "shifted", "127.0.0.1:748", append([]byte("0"), make([]byte, ChallengeSize)...), []byte{1})
	f.Fuzz(func(t *testing.T, audience string, challenge, ids []byte) {
		if len(audience) > 0xffff || len(challenge) > 0xffff {
			return
		}
		var id account.ID
		var device account.DeviceID
		s := decodertest.From(ids)
		s.Fill(id[:])
		s.Fill(device[:])
		r := codec.NewReader(AuthBytes(audience, challenge, id, device))
		if string(r.Bytes(len(AuthContext))) != AuthContext || string(r.V16(0xffff)) != audience || !bytes.Equal(r.V16(0xffff), challenge) ||
			!bytes.Equal(r.V16(len(id)), id[:]) || !bytes.Equal(r.V16(len(device)), device[:]) || !r.Done() {
			t.Fatal("a field cannot be told from its neighbours")
		}
	})
}
