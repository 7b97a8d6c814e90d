// Package account says who a device is and which keys an account has: hybrid
// device keys, device records, prekey bundles and rosters, each with its
// canonical encoding, its strict parser and its checks (SPEC §4 and §5).
//
// An account is a roster, an append-only chain of signed statements that add
// and remove devices. Its id is the hash of the first statement, so whoever
// knows the id can check everything that follows without trusting a server:
//
//	statement 0 ──hash──▶ account id
//	     │prev
//	statement 1   signed by a device of the roster after 0
//	     │prev
//	statement 2   signed by a device of the roster after 1, or by the
//	              recovery key; an added device signs as well
//
// A device has one hybrid key, ECDSA P-256 beside ML-DSA-65. Rosters, bundles
// and holds carry both signatures and count only when both verify.
//
// The package is pure: bytes in, bytes out. It reads no clock, draws no
// randomness of its own and does no I/O. Unless a type says otherwise, values
// are immutable once made and safe for concurrent use. Integers are
// big-endian; times are unsigned Unix milliseconds.
package account
