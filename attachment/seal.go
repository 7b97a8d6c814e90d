package attachment

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

// Sealer seals a file from its first chunk to its last and computes the digest.
// It is for one goroutine.
type Sealer struct {
	cipher *Cipher
	src    io.Reader
	next   uint64
	digest hash.Hash
	plain  [ChunkSize]byte
}

// Format shows nothing: key and file are inside.
func (s *Sealer) Format(f fmt.State, _ rune) { secret.Redact(f) }

// NewSealer reads the file from src, which must have the cipher's size.
func NewSealer(c *Cipher, src io.Reader) *Sealer {
	return &Sealer{cipher: c, src: src, digest: sha512.New384()}
}

// Next appends the next sealed chunk to dst; io.EOF after the last one. ErrSize
// means that src is shorter or longer than announced; other errors are src's.
func (s *Sealer) Next(dst []byte) ([]byte, error) {
	if s.next == Chunks(s.cipher.size) {
		return nil, io.EOF
	}
	plain := s.plain[:fileChunk(s.cipher.size, s.next)]
	if _, err := io.ReadFull(s.src, plain); err != nil {
		return nil, shorter(err)
	}
	if s.next == Chunks(s.cipher.size)-1 {
		if err := atEnd(s.src); err != nil {
			return nil, err
		}
	}
	start := len(dst)
	sealed, err := s.cipher.SealChunk(dst, s.next, plain)
	if err != nil {
		return nil, err
	}
	s.digest.Write(sealed[start:])
	s.next++
	return sealed, nil
}

// Digest is the SHA-384 of all sealed chunks, once Next has given the last.
func (s *Sealer) Digest() (digest [DigestSize]byte) {
	s.digest.Sum(digest[:0])
	return digest
}

// Seal writes all sealed chunks of a file to dst and returns their digest.
func Seal(dst io.Writer, src io.Reader, c *Cipher) (digest [DigestSize]byte, err error) {
	s := NewSealer(c, src)
	var sealed []byte
	for {
		sealed, err = s.Next(sealed[:0])
		if errors.Is(err, io.EOF) {
			return s.Digest(), nil
		}
		if err != nil {
			return digest, err
		}
		if _, err := dst.Write(sealed); err != nil {
			return digest, err
		}
	}
}

// shorter tells a source that ended too early from one that failed.
func shorter(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return reject.New("V-130", ErrSize, "shorter than announced")
	}
	return err
}

// atEnd refuses a source that goes on after the announced size.
func atEnd(src io.Reader) error {
	var more [1]byte
	n, err := io.ReadFull(src, more[:])
	if n > 0 {
		return reject.New("V-130", ErrSize, "longer than announced")
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
