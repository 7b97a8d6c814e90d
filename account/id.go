package account

import (
	"encoding/hex"

	"github.com/posthorn/posthorn/internal/reject"
)

// ID names an account for ever: the hash of its roster statement 0. SPEC §4.1.
type ID [48]byte

// DeviceID names one device of an account: 32 random bytes, never used twice.
type DeviceID [32]byte

// String gives 96 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// String gives 64 lower-case hexadecimal digits.
func (id DeviceID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads the form that ID.String writes, and no other.
func ParseID(s string) (id ID, err error) {
	return id, parseHex(id[:], s)
}

// ParseDeviceID reads the form that DeviceID.String writes, and no other.
func ParseDeviceID(s string) (id DeviceID, err error) {
	return id, parseHex(id[:], s)
}

// parseHex fills dst, or leaves it zero. Each id has one text form, so that
// comparing texts is comparing ids.
func parseHex(dst []byte, s string) error {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(dst) || hex.EncodeToString(raw) != s {
		return reject.New("V-02", ErrID, "an id is lower-case hexadecimal of fixed length")
	}
	copy(dst, raw)
	return nil
}
