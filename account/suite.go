package account

import (
	"fmt"
	"slices"

	"github.com/posthorn/posthorn/internal/reject"
)

// Suite is a choice of algorithms for a session. SPEC §3.1.
type Suite uint8

const (
	// PQ3 is the published protocol: ECDSA signs messages, a key indicator
	// binds them to their key.
	PQ3 Suite = 1
	// PQ3A adds a tag under the message key and an ML-DSA-65 signature at the
	// session start. It is the default.
	PQ3A Suite = 2
)

// Valid reports whether this program implements s.
func (s Suite) Valid() bool { return s == PQ3 || s == PQ3A }

// String gives the short name, "PQ3" or "PQ3A".
func (s Suite) String() string {
	switch s {
	case PQ3:
		return "PQ3"
	case PQ3A:
		return "PQ3A"
	}
	return fmt.Sprintf("suite(%d)", uint8(s))
}

// Label is the full name that signed bytes begin with, or "" for a suite that
// does not exist. SPEC §3.5.
func (s Suite) Label() string {
	switch s {
	case PQ3:
		return "PQ3/P256/MLKEM1024/MLKEM768/SHA384/AES256CTR/ECDSA"
	case PQ3A:
		return "PQ3A/P256/MLKEM1024/MLKEM768/SHA384/AES256CTR-HMAC/ECDSA+MLDSA65"
	}
	return ""
}

// ChooseSuite picks the suite for two devices: the stronger one whenever both
// list it. A receiver accepts no other, so that a server cannot talk two
// devices down. SPEC §4.4.
func ChooseSuite(a, b *Device) (Suite, error) {
	for _, s := range []Suite{PQ3A, PQ3} {
		if a.Lists(s) && b.Lists(s) {
			return s, nil
		}
	}
	return 0, reject.New("V-08", ErrSuite, "the two devices share none that this program knows; update the older one")
}

// Lists reports whether the device's record names s.
func (d *Device) Lists(s Suite) bool { return slices.Contains(d.Suites, s) }
