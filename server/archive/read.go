package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/posthorn/posthorn/internal/reject"
)

// ErrArchive says that a file is no backup, or not a whole and unaltered one.
var ErrArchive = errors.New("archive: not a sound backup")

func unsound(what string) error { return reject.New("V-158", ErrArchive, what) }

// Verify reads a backup to its end and checks every byte. ErrArchive.
func Verify(r io.Reader) error {
	return read(r, func(string, io.Reader) error { return nil })
}

// Unpack writes the files of a backup into a folder that is empty, closed to
// other users, and makes them durable. Only files in the folders that are named
// are taken. On an error, such as ErrArchive, what is there already is of no
// use: the caller removes it.
func Unpack(r io.Reader, into string, folders ...string) error {
	made := map[string]bool{into: true}
	err := read(r, func(name string, content io.Reader) error {
		if top, _, _ := strings.Cut(name, "/"); !slices.Contains(folders, top) {
			return unsound("it holds a file that no backup holds")
		}
		at := filepath.Join(into, filepath.FromSlash(name))
		if err := makeFolders(into, filepath.Dir(at), made); err != nil {
			return err
		}
		return writeFile(at, content)
	})
	if err != nil {
		return err
	}
	for folder := range made {
		if err := SyncFolder(folder); err != nil {
			return err
		}
	}
	return nil
}

// makeFolders makes a folder below another and notes each on the way.
func makeFolders(below, folder string, made map[string]bool) error {
	if made[folder] {
		return nil
	}
	if err := makeFolders(below, filepath.Dir(folder), made); err != nil {
		return err
	}
	made[folder] = true
	return os.Mkdir(folder, 0o700)
}

func writeFile(at string, content io.Reader) error {
	f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return unsound("it holds a file twice")
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// source is a backup that is being read.
type source struct {
	in    *bufio.Reader
	whole hash.Hash
}

// read shows each file of a backup to visit. What visit has not read is read
// here, and the checksums are compared after it.
func read(r io.Reader, visit func(name string, content io.Reader) error) error {
	s := &source{in: bufio.NewReaderSize(r, 1<<20), whole: sha256.New()}
	head := make([]byte, len(magic))
	if err := s.full(head); err != nil || string(head) != magic {
		return unsound("it does not begin as a backup does")
	}
	for files := uint64(0); ; files++ {
		var mark [1]byte
		if err := s.full(mark[:]); err != nil {
			return err
		}
		switch mark[0] {
		case markFile:
			if err := s.file(visit); err != nil {
				return err
			}
		case markEnd:
			return s.end(files)
		default:
			return unsound("a record is damaged")
		}
	}
}

// full fills b from the backup. A backup that ends before is not whole.
func (s *source) full(b []byte) error {
	if _, err := io.ReadFull(s.in, b); err != nil {
		return cutShort(err)
	}
	s.whole.Write(b)
	return nil
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return unsound("its end is missing")
	}
	return fmt.Errorf("the backup cannot be read: %w", err)
}

func (s *source) file(visit func(string, io.Reader) error) error {
	var length [2]byte
	if err := s.full(length[:]); err != nil {
		return err
	}
	name := make([]byte, binary.BigEndian.Uint16(length[:]))
	if err := s.full(name); err != nil {
		return err
	}
	var size [8]byte
	if err := s.full(size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint64(size[:])
	if !fs.ValidPath(string(name)) || string(name) == "." || bytes.ContainsAny(name, "\\:\x00") || n > math.MaxInt64 {
		return unsound("a file's name or size is damaged")
	}
	sum := sha256.New()
	content := io.TeeReader(io.LimitReader(s.in, int64(n)), io.MultiWriter(sum, s.whole))
	counted := &counter{r: content}
	if err := visit(string(name), counted); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, counted); err != nil {
		return cutShort(err)
	}
	if counted.n != n {
		return unsound("its end is missing")
	}
	var want [sha256.Size]byte
	if err := s.full(want[:]); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want[:]) {
		return unsound("a file's checksum does not fit")
	}
	return nil
}

// end checks what stands behind the last file.
func (s *source) end(files uint64) error {
	var count [8]byte
	if err := s.full(count[:]); err != nil {
		return err
	}
	sum := s.whole.Sum(nil)
	var want [sha256.Size]byte
	if err := s.full(want[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint64(count[:]) != files || !bytes.Equal(sum, want[:]) {
		return unsound("the checksum over everything does not fit")
	}
	if _, err := s.in.ReadByte(); !errors.Is(err, io.EOF) {
		return unsound("something follows its end")
	}
	return nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n uint64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += uint64(n)
	return n, err
}
