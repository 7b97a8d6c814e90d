// Package pairing lets a device that is already on an account let a new one in,
// over a server that neither trusts. SPEC §13.5.
//
//	new device                              old device
//	NewCode: shown, then typed or scanned ─▶ ParseCode
//	Begin    ── hello ─────────────────────▶ Join
//	Finish  ◀───────────────── invitation ── whose account, and the next place in its roster
//	Seal     ── application ───────────────▶ its record, its signature, its first bundle
//	Open    ◀──────────────────── verdict ── on the roster, or not
//
// The code is a secret of 136 bits. From it follow the slot at which the two
// meet on the server and a key that goes into everything, so whoever does not
// have the code can neither take part nor guess it from what it sees. The
// exchange itself is ephemeral and hybrid, X25519 and ML-KEM-1024, so whoever
// learns the code later, or breaks one of the two later, reads nothing.
//
// The package is pure: randomness and time come in as arguments, and nothing
// is sent from here. Values are immutable and safe for concurrent use.
package pairing
