package attachment

import (
	"crypto/sha512"
	"fmt"
	"hash"
	"io"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

// Opener opens a file from its first chunk to its last and holds it against
// the digest that its sender signed. It is for one goroutine.
type Opener struct {
	cipher *Cipher
	want   [DigestSize]byte
	next   uint64
	digest hash.Hash
	sealed [SealedChunkSize]byte // what Skip seals again
}

// Format shows nothing: the key is inside.
func (o *Opener) Format(f fmt.State, _ rune) { secret.Redact(f) }

// NewOpener begins at chunk 0.
func NewOpener(c *Cipher, digest [DigestSize]byte) *Opener {
	return &Opener{cipher: c, want: digest, digest: sha512.New384()}
}

// SealedLen is the length of the next sealed chunk; 0 after the last.
func (o *Opener) SealedLen() int {
	if o.next == Chunks(o.cipher.size) {
		return 0
	}
	return paddedChunk(o.cipher.size, o.next) + Overhead
}

// Next verifies the next sealed chunk and appends the file's bytes in it to
// dst. Errors: ErrSize, ErrChunk, ErrPadding.
func (o *Opener) Next(dst, sealed []byte) ([]byte, error) {
	opened, err := o.cipher.OpenChunk(dst, o.next, sealed)
	if err != nil {
		return nil, err
	}
	o.digest.Write(sealed)
	o.next++
	return opened, nil
}

// Skip goes past a chunk that was opened in an earlier run and kept. plain must
// be what Next gave then; it is sealed again for the digest, so that another
// text is found out by Close. Error: ErrSize.
func (o *Opener) Skip(plain []byte) error {
	sealed, err := o.cipher.SealChunk(o.sealed[:0], o.next, plain)
	if err != nil {
		return err
	}
	o.digest.Write(sealed)
	o.next++
	return nil
}

// Close says whether the whole file is there and is the sender's. Errors:
// ErrSize, ErrDigest. Only after nil is the file what the sender sent.
func (o *Opener) Close() error {
	if o.next != Chunks(o.cipher.size) {
		return reject.New("V-130", ErrSize, "chunks are missing")
	}
	if [DigestSize]byte(o.digest.Sum(nil)) != o.want {
		return reject.New("V-133", ErrDigest, "")
	}
	return nil
}

// Open writes the file in the sealed chunks of src to dst, chunk by chunk as
// each verifies, and then checks that src ends and that the digest is right.
// What was written is good only if the error is nil.
func Open(dst io.Writer, src io.Reader, c *Cipher, digest [DigestSize]byte) error {
	o := NewOpener(c, digest)
	sealed, plain := make([]byte, SealedChunkSize), make([]byte, 0, ChunkSize)
	for n := o.SealedLen(); n > 0; n = o.SealedLen() {
		if _, err := io.ReadFull(src, sealed[:n]); err != nil {
			return shorter(err)
		}
		opened, err := o.Next(plain, sealed[:n])
		if err != nil {
			return err
		}
		if _, err := dst.Write(opened); err != nil {
			return err
		}
	}
	if err := atEnd(src); err != nil {
		return err
	}
	return o.Close()
}
