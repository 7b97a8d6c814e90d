package api

import (
	"encoding/binary"

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

// SeatLabel is the label that the signed bytes of a seat begin with.
const SeatLabel = "posthorn/seat/v1"

// SeatBytes are what a device signs with its ECDSA key about its seat at a login:
// number and bytes of the last login that it knows of (zeros before the first),
// and the bytes that it has drawn for this one. SPEC §14.2.
func SeatBytes(acc account.ID, dev account.DeviceID, number uint64, value, next [SeatSize]byte) []byte {
	b := []byte(SeatLabel)
	b = codec.AppendV16(b, acc[:])
	b = codec.AppendV16(b, dev[:])
	b = binary.BigEndian.AppendUint64(b, number)
	b = append(b, value[:]...)
	return append(b, next[:]...)
}

// RecoveryContext is the ML-DSA context of a proof by a recovery key, and the
// label that its signed bytes begin with.
const RecoveryContext = "posthorn/recoverable/v1"

// RecoveryBytes are what a recovery key signs to get its account from the
// directory; audience is as in AuthBytes. SPEC §14.3.
func RecoveryBytes(audience string, challenge []byte, name account.Name) []byte {
	b := []byte(RecoveryContext)
	b = codec.AppendV16(b, []byte(audience))
	b = codec.AppendV16(b, challenge)
	return codec.AppendV16(b, []byte(name))
}
