// Package content is what a decrypted message says: a text, files, receipts, and
// the few frames by which two devices keep their session healthy. It is pure and
// knows nothing of sessions, servers or storage. SPEC §11.
//
//	u8 version = 1 ‖ u8 kind ‖ id[16] ‖ u64 sent at (ms) ‖ body
//
// Padding is not its concern: package pq3 pads every plaintext.
package content
