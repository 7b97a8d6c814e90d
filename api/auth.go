package api

import (
	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
)

// AuthContext is the ML-DSA context of a login proof, and the label that its
// signed bytes begin with.
const AuthContext = "posthorn/auth/v1"

// AuthBytes are what a device signs with both keys to log in. audience is the
// host and port that it dialled: a server that passes a challenge on from
// another one gets a proof that is good for nothing there. SPEC §14.2.
func AuthBytes(audience string, challenge []byte, acc account.ID, dev account.DeviceID) []byte {
	b := []byte(AuthContext)
	b = codec.AppendV16(b, []byte(audience))
	b = codec.AppendV16(b, challenge)
	b = codec.AppendV16(b, acc[:])
	return codec.AppendV16(b, dev[:])
}
