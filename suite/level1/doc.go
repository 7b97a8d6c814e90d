// Package level1 is Level 1: end-to-end encrypted with classical cryptography
// alone. It follows two public specifications of Signal:
//
//   - "The X3DH Key Agreement Protocol", revision 1 (2016-11-04), for the start:
//     three or four X25519 agreements against a published prekey;
//   - "The Double Ratchet Algorithm", revision 1 (2016-11-20), for what follows:
//     a new X25519 agreement at each change of direction, and a chain of message
//     keys in each epoch.
//
// In the words of those texts, the parameters are: curve X25519, hash SHA-256,
// KDF_RK HKDF with the root key as salt, KDF_CK HMAC with the constants 1 and 2,
// and for ENCRYPT the recommended AES-256-CBC with HMAC-SHA-256, its keys from
// HKDF over the message key. At most 1,000 message keys are skipped in a chain
// and 2,000 are kept, for 14 days.
//
// Where this differs from Signal's own implementation: identities sign with
// Ed25519 under a second key, not with XEdDSA under the agreement key; the whole
// header is authenticated, the values of a start included; the new ratchet key
// is made when a reply is written, which the second text allows as deferring;
// and the byte formats are ours. There are no published test vectors of X3DH or
// of the Double Ratchet. The primitives are held to RFC 7748 and RFC 5869, the
// rest to a second derivation from recordings and states.
//
// Later generations of the design add to it and replace nothing. Design has a
// place for each addition: a KEM in the start (package level2) and a second
// ratchet beside the first (package level3sparse).
package level1
