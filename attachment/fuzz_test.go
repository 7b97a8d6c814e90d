package attachment

import (
	"bytes"
	"errors"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

// FuzzOpen gives Open any bytes as the sealed file: what it accepts is the one
// that Seal makes of the same file, and nothing that fails was handed out.
func FuzzOpen(f *testing.F) {
	for _, size := range []uint64{0, 100, 1500} {
		c := cipherOf(f, 1, size)
		b, _ := sealed(f, c, fileOf(size))
		decodertest.Seed(f, map[uint64]string{0: "empty", 100: "short", 1500: "padded"}[size], b, uint16(size))
		decodertest.Seed(f, map[uint64]string{0: "empty-cut", 100: "short-cut", 1500: "padded-cut"}[size], b[:len(b)-1], uint16(size))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint16) {
		c := cipherOf(t, 1, uint64(size))
		honest, digest := sealed(t, c, fileOf(uint64(size)))
		var out bytes.Buffer
		err := Open(&out, bytes.NewReader(b), c, digest)
		var refusal *Error
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("refused without a rule: %v", err)
		}
		if (err == nil) != bytes.Equal(b, honest) {
			t.Fatalf("%v for bytes that are the sender's: %v", err, bytes.Equal(b, honest))
		}
		if !bytes.HasPrefix(fileOf(uint64(size)), out.Bytes()) {
			t.Fatal("bytes that are not the file's were handed out")
		}
	})
}

// FuzzOpenChunk treats the bytes as a chunk of any file at any place, and then
// as the text of one.
func FuzzOpenChunk(f *testing.F) {
	c := cipherOf(f, 1, 100)
	b, _ := sealed(f, c, fileOf(100))
	decodertest.Seed(f, "chunk", b, uint64(100), uint64(0))
	decodertest.Seed(f, "far", b, uint64(MaxSize), uint64(MaxSize/ChunkSize-1))
	decodertest.Seed(f, "text", []byte("text"), uint64(4), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, size, i uint64) {
		size %= MaxSize + 1
		c := cipherOf(t, 1, size)
		if got, err := c.OpenChunk(nil, i, b); err == nil {
			if again, err := c.SealChunk(nil, i, got); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("accepted bytes have another encoding, %v", err)
			}
		}
		if sealed, err := c.SealChunk(nil, i, b); err == nil {
			if got, err := c.OpenChunk(nil, i, sealed); err != nil || !bytes.Equal(got, b) {
				t.Fatalf("sealed, but opens to %d bytes, %v", len(got), err)
			}
		}
	})
}
