package client

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/attachment"
	"github.com/posthorn/posthorn/internal/reject"
)

// pinned is a file that may not change while it is sent: the hash of every
// chunk is noted first, and a chunk that is another later is refused. So one
// key never seals two texts, whatever happens to the file between an interrupted
// upload and the next try. It takes 512 KiB for a gibibyte.
type pinned struct {
	file   *os.File
	size   uint64
	hashes [][sha256.Size]byte
	root   [48]byte // over all hashes: the same file has the same root
}

// pin opens a file and reads it once.
func pin(ctx context.Context, path string) (p *pinned, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	there, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !there.Mode().IsRegular() {
		return nil, ErrNotAFile
	}
	if there.Size() > api.MaxAttachment {
		return nil, ErrTooLarge
	}
	p = &pinned{file: file, size: uint64(there.Size())}
	return p, p.readOnce(ctx)
}

func (p *pinned) readOnce(ctx context.Context) error {
	whole := sha512.New384()
	whole.Write(binary.BigEndian.AppendUint64([]byte("posthorn/pinned/v1"), p.size))
	buffer := make([]byte, attachment.ChunkSize)
	for i := range attachment.Chunks(p.size) {
		if err := ctx.Err(); err != nil {
			return err
		}
		plain, err := p.load(i, buffer)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(plain)
		whole.Write(sum[:])
		p.hashes = append(p.hashes, sum)
	}
	whole.Sum(p.root[:0])
	return p.ended()
}

// chunk returns the file's bytes of chunk i, which must be what they were. It
// uses the buffer. Error: ErrFileChanged.
func (p *pinned) chunk(i uint64, buffer []byte) ([]byte, error) {
	plain, err := p.load(i, buffer)
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(plain) != p.hashes[i] {
		return nil, reject.New("V-141", ErrFileChanged, "other bytes")
	}
	return plain, nil
}

func (p *pinned) load(i uint64, buffer []byte) ([]byte, error) {
	from := min(i*attachment.ChunkSize, p.size) // chunks of padding alone lie behind the end
	plain := buffer[:min(attachment.ChunkSize, p.size-from)]
	n, err := p.file.ReadAt(plain, int64(from))
	if n == len(plain) {
		return plain, nil
	}
	if errors.Is(err, io.EOF) {
		return nil, reject.New("V-141", ErrFileChanged, "shorter")
	}
	return nil, fmt.Errorf("the file cannot be read: %w", err)
}

// ended refuses a file that has grown.
func (p *pinned) ended() error {
	if n, err := p.file.ReadAt(make([]byte, 1), int64(p.size)); n > 0 || err != nil && !errors.Is(err, io.EOF) {
		return errors.Join(reject.New("V-141", ErrFileChanged, "longer"), err)
	}
	return nil
}

func (p *pinned) close() { _ = p.file.Close() } // it was only read
