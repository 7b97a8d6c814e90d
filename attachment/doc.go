// Package attachment encrypts files: with a random key for each file, in chunks
// of 64 KiB that can be sealed, fetched and opened one at a time, so that a file
// of any size takes the memory of one chunk. It is pure: bytes, readers and the
// key come in as arguments, and it knows no server and no message. SPEC §12.
//
//	file ‖ zeros up to P(size)  →  chunk 0, chunk 1, … chunk n−1 (final)
//	sealed chunk i = AES-256-GCM(HKDF(key), nonce = i ‖ final, ad = size)
//
// A chunk opens only at its own place in a file of its own size, and only the
// last one opens as the last. So nothing can be reordered, repeated, dropped or
// added without being noticed at the first wrong chunk, and no byte is handed
// out before its chunk has verified. The digest of all sealed chunks, which the
// message carries, ties the whole file to the sender's signature.
//
// One key is for one file. Whoever seals again under the same key, to go on with
// an interrupted upload, must seal the same bytes.
package attachment
