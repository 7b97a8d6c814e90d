package attachment

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
	"fmt"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

// label is the HKDF info under which a file's key becomes the key of its
// chunks, and the front of their associated data.
const label = "posthorn/attachment/v1"

// Cipher seals and opens single chunks of one file, in any order. It is safe
// for concurrent use.
type Cipher struct {
	aead  cipher.AEAD
	size  uint64
	bound []byte // associated data of every chunk
}

// Format shows nothing: the key schedule is inside.
func (c *Cipher) Format(f fmt.State, _ rune) { secret.Redact(f) }

// NewCipher prepares the chunks of a file with a key and a size in bytes.
// Error: ErrSize for a file over MaxSize.
func NewCipher(key *secret.Key, size uint64) (*Cipher, error) {
	if size > MaxSize {
		return nil, reject.New("V-130", ErrSize, "over 1 TiB")
	}
	c := &Cipher{size: size, bound: binary.BigEndian.AppendUint64([]byte(label), size)}
	var err error
	secret.Do(func() {
		var chunkKey []byte
		if chunkKey, err = hkdf.Expand(sha512.New384, key[:], label, len(key)); err != nil {
			return
		}
		defer secret.Wipe(chunkKey)
		var block cipher.Block
		if block, err = aes.NewCipher(chunkKey); err != nil {
			return
		}
		c.aead, err = cipher.NewGCM(block)
	})
	return c, err
}

// nonce is the place of a chunk: its index and whether it is the last.
func (c *Cipher) nonce(i uint64) []byte {
	n := make([]byte, 3, 12)
	n = binary.BigEndian.AppendUint64(n, i)
	final := byte(0)
	if i == Chunks(c.size)-1 {
		final = 1
	}
	return append(n, final)
}

// SealChunk appends the sealed chunk i to dst. plain are the file's bytes of
// that chunk without padding, which must be as many as the size calls for.
// Error: ErrSize.
func (c *Cipher) SealChunk(dst []byte, i uint64, plain []byte) ([]byte, error) {
	if i >= Chunks(c.size) || len(plain) != fileChunk(c.size, i) {
		return nil, reject.New("V-130", ErrSize, "not the bytes of this chunk")
	}
	if padded := paddedChunk(c.size, i); padded > len(plain) {
		plain = append(make([]byte, 0, padded), plain...)[:padded]
	}
	return c.aead.Seal(dst, c.nonce(i), plain, c.bound), nil
}

// OpenChunk verifies the sealed chunk i and appends the file's bytes in it to
// dst, without padding. Errors: ErrSize, ErrChunk, ErrPadding; dst then has
// nothing new in it.
func (c *Cipher) OpenChunk(dst []byte, i uint64, sealed []byte) ([]byte, error) {
	if i >= Chunks(c.size) || len(sealed) != paddedChunk(c.size, i)+Overhead {
		return nil, reject.New("V-130", ErrSize, "not the length of this chunk")
	}
	start := len(dst)
	opened, err := c.aead.Open(dst, c.nonce(i), sealed, c.bound)
	if err != nil {
		return nil, reject.New("V-131", ErrChunk, "")
	}
	end := start + fileChunk(c.size, i)
	for _, b := range opened[end:] {
		if b != 0 {
			clear(opened[start:])
			return nil, reject.New("V-132", ErrPadding, "")
		}
	}
	return opened[:end], nil
}
