// Package level3sparse is Level 3 by another road, for comparison: PQXDH (package
// level2), the Double Ratchet (package level1), and beside it a KEM ratchet whose
// objects travel in pieces of 32 bytes, one with each message. It follows the
// manner of Signal's public specifications "The Double Ratchet Algorithm",
// revision 3 (2025-09-26), §5 and §6, and "The ML-KEM Braid Protocol" (2025),
// without the incremental ML-KEM of the latter: an encapsulation key travels
// whole before its ciphertext begins, so it heals more slowly than Signal's.
//
//	exchange t      one device ─ key, 38 pieces ───────▶ the other
//	                          ◀─ ciphertext, 35 pieces ─
//	                          ─ first message of epoch t ▶
//	exchange t+1    the same with the roles changed
//
// Each object is an erasure code: any 38, or 35, of its pieces rebuild it, so a
// lost message delays nothing by more than itself. An authenticator under the
// session's secrets ends each object. Both ratchets give a key for each message,
// and the message is sealed under the two joined.
//
// The exchange for epoch t runs in messages of epoch t−1. The device that sent
// the key enters epoch t when it has the ciphertext; the other one when it sees
// that. So no message ever needs a key that its receiver lacks.
//
// Without loss a rekey takes about 145 messages in strict alternation, 150 in
// bursts of 10 or 50, and 1,900 where 50 messages go one way for each reply,
// because the side that says little has a key to send every other time. No more
// than one piece burdens a message. TestRekeysInProportion measures it.
//
// Differences from Signal's implementation: whole ML-KEM-768; SHA-256 where
// that has its own choices; byte formats of our own. There are no published test
// vectors of it.
package level3sparse
