package pq3

import (
	"bytes"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/sha512"
)

const (
	hashSize  = sha512.Size384
	blockSize = sha512.BlockSize

	// shortInput is the longest input of macShort, in bytes. Every step of the
	// symmetric ratchet stays below it.
	shortInput = 64
)

// macShort is HMAC-SHA-384 of one short input, under a key of at most 128
// bytes. The chain of message keys calls it four times a message, so it works
// on the stack: no allocation, about half the time of crypto/hmac, and no
// copy of the key is left on the heap. In FIPS mode crypto/hmac serves, because
// there the module must see the whole computation (docs/adr/0017-hmac.md).
//
// formal: hkdf
func macShort(key, input []byte) (sum [hashSize]byte) {
	if fips140.Enabled() || len(input) > shortInput {
		// Copies, so that the arguments of the short form never escape to the heap.
		return macLong(bytes.Clone(key), bytes.Clone(input))
	}
	var inner [blockSize + shortInput]byte
	var outer [blockSize + hashSize]byte
	keyBlock(inner[:blockSize], key, 0x36)
	keyBlock(outer[:blockSize], key, 0x5c)
	copy(inner[blockSize:], input)
	hashed := sha512.Sum384(inner[:blockSize+len(input)])
	copy(outer[blockSize:], hashed[:])
	sum = sha512.Sum384(outer[:])
	clear(inner[:])
	clear(outer[:])
	return sum
}

// keyBlock fills a block with the key, padded with zeros, under a mask
// (RFC 2104).
func keyBlock(block, key []byte, mask byte) {
	copy(block, key)
	for i := range block {
		block[i] ^= mask
	}
}

// macLong is HMAC-SHA-384 of the concatenated parts.
//
// formal: hkdf
func macLong(key []byte, parts ...[]byte) (sum [hashSize]byte) {
	mac := hmac.New(sha512.New384, key)
	for _, part := range parts {
		mac.Write(part)
	}
	mac.Sum(sum[:0])
	return sum
}

// extract is HKDF-SHA-384 Extract (RFC 5869).
//
// formal: hkdf
func extract(salt, material []byte) [hashSize]byte { return macShort(salt, material) }

// expandLabel is HKDF-SHA-384 Expand of at most 48 bytes with a short info,
// which is one HMAC.
//
// formal: hkdf
func expandLabel(out, key []byte, label string) {
	var input [shortInput]byte
	n := copy(input[:], label)
	input[n] = 1
	sum := macShort(key, input[:n+1])
	copy(out, sum[:])
	clear(sum[:])
}

// expandLong is HKDF-SHA-384 Expand to any length, for an info in two parts.
//
// formal: hkdf
func expandLong(out, key []byte, label string, info []byte) {
	var sum [hashSize]byte
	defer clear(sum[:])
	previous := sum[:0]
	for i := byte(1); len(out) > 0; i++ {
		sum = macLong(key, previous, []byte(label), info, []byte{i})
		previous = sum[:]
		out = out[copy(out, sum[:]):]
	}
}
