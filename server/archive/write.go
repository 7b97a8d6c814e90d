package archive

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/posthorn/posthorn/internal/codec"
)

const magic = "posthorn backup 1\n"

// Folder is one folder that goes into a backup.
type Folder struct {
	Name string   // what it is called in the backup
	Path string   // where it is; one that is not there is left out
	Skip []string // names of files that are left out
}

// Write puts the files of folders into a backup. A file may grow meanwhile:
// then its beginning is taken; one that is removed meanwhile is left out. An
// error leaves a backup without an end, which nobody takes.
func Write(ctx context.Context, w io.Writer, folders ...Folder) error {
	buffered := bufio.NewWriterSize(w, 1<<20)
	a := &writer{ctx: ctx, whole: sha256.New()}
	a.out = io.MultiWriter(buffered, a.whole)
	if _, err := io.WriteString(a.out, magic); err != nil {
		return err
	}
	for _, f := range folders {
		if err := a.folder(f); err != nil {
			return fmt.Errorf("archive: the backup is not complete: %w", err)
		}
	}
	if _, err := a.out.Write(binary.BigEndian.AppendUint64([]byte{markEnd}, a.files)); err != nil {
		return err
	}
	if _, err := buffered.Write(a.whole.Sum(nil)); err != nil {
		return err
	}
	return buffered.Flush()
}

// The first byte of a record.
const (
	markFile = 'F'
	markEnd  = 'E'
)

// writer is a backup that is being written.
type writer struct {
	ctx   context.Context
	out   io.Writer // the backup, and whole
	whole hash.Hash
	files uint64
}

func (a *writer) folder(f Folder) error {
	return filepath.WalkDir(f.Path, func(at string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		for _, name := range f.Skip {
			if d.Name() == name {
				return nil
			}
		}
		inside, err := filepath.Rel(f.Path, at)
		if err != nil {
			return err
		}
		return a.file(path.Join(f.Name, filepath.ToSlash(inside)), at)
	})
}

// file adds one file under a name.
func (a *writer) file(name, at string) error {
	f, err := os.Open(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	head := codec.AppendV16([]byte{markFile}, []byte(name))
	head = binary.BigEndian.AppendUint64(head, uint64(info.Size()))
	if _, err := a.out.Write(head); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(a.out, sum), stopping{a.ctx, f}, info.Size()); err != nil {
		return err
	}
	a.files++
	_, err = a.out.Write(sum.Sum(nil))
	return err
}

// stopping is a reader that ends with its context.
type stopping struct {
	ctx context.Context
	io.Reader
}

func (s stopping) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.Reader.Read(p)
}
