// Package pq3 is the protocol core of Posthorn: end-to-end encrypted sessions
// between two devices at Level 3, post-quantum from the first message and
// rekeyed with post-quantum keys for as long as they last. It follows the
// design that Apple published as PQ3, with the additions that SPEC.md names,
// and is not affiliated with Apple.
//
// Three ratchets protect a session:
//
//	root key ──▶ root key ──────▶ root key ──────▶ …       one step an epoch:
//	   │            │ ECDH           │ ECDH + ML-KEM       public-key ratchet,
//	   ▼            ▼                ▼                     KEM ratchet
//	 chain 0      chain 1          chain 2
//	 Alice        Bob              Alice                   epochs alternate
//	   │            │                │
//	   ▼            ▼                ▼
//	 message      message          message
//	 keys 0,1,…   keys 0,1,…       keys 0,1,…              symmetric ratchet
//
// A session starts with P-256 ECDH and ML-KEM-1024 against the peer's prekey
// bundle (Initiate, Accept). Every change of direction adds a fresh ECDH
// secret; by count or by time it also adds an ML-KEM-768 secret, whose answer
// is mandatory. Messages are encrypted with AES-256-CTR, signed with ECDSA
// and, in suite PQ3A, authenticated by a tag under the message key; a PQ3A
// start is signed with ML-DSA-65 as well.
//
// The package is pure: bytes in, bytes out. Randomness (Entropy) and time are
// arguments, nothing is logged or written, and a Session never changes. Seal
// and Open return the next one, which the caller stores before the message
// leaves or the text is shown. What the caller owes in return is small: keep
// the next session, keep the ReplayKey of every accepted start, and never
// restore a session from a backup.
//
// Section numbers in comments are those of SPEC.md; "V-nn" is the check
// register of SPEC §15.
package pq3
