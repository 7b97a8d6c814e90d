package pebble

import (
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// freezer stands between the engine and the file system. After the first write,
// sync or rename that fails, no change reaches the disk any more: the goroutine
// that asked for it waits for ever, and so does every later one.
//
// The reason: an fsync that failed once may succeed the next time without
// having written anything, so nothing may be retried; and the engine answers
// most write errors by ending the process, while the contract says that reads
// go on. A goroutine that waits holds none of the engine's read locks.
type freezer struct {
	vfs.FS
	stop   func(error) // called with a failure; must set frozen
	frozen atomic.Bool
	lock   *lock                  // the directory lock, once there is one
	spare  atomic.Pointer[string] // a folder in which failures harm nothing: that of a checkpoint
}

// spared says that a path is in the folder of a checkpoint. What fails there,
// such as a copy for which the disk has no room, ends the checkpoint alone.
func (f *freezer) spared(name string) bool {
	folder := f.spare.Load()
	return folder != nil && strings.HasPrefix(name, *folder)
}

// lock is a directory lock that may be given back twice: by the engine, and by
// whoever gives up on a frozen one.
type lock struct {
	io.Closer
	once sync.Once
}

func (l *lock) Close() (err error) {
	l.once.Do(func() { err = l.Closer.Close() })
	return err
}

// check passes on a result of the file system, unless it is a failure: then it
// does not return.
func (f *freezer) check(err error) error {
	if err != nil {
		f.stop(err)
		f.gate()
	}
	return err
}

// errNoLink: a checkpoint has to copy a file.
var errNoLink = errors.New("file not linked")

// gate lets a change pass, or holds it for ever.
func (f *freezer) gate() {
	if f.frozen.Load() {
		select {}
	}
}

// release gives the directory back, so that another store can open it while
// the frozen engine lies idle until the process ends.
func (f *freezer) release() error {
	if f.lock == nil {
		return nil
	}
	return f.lock.Close()
}

func (f *freezer) Lock(name string) (io.Closer, error) {
	l, err := f.FS.Lock(name)
	if err != nil {
		return nil, err
	}
	f.lock = &lock{Closer: l}
	return f.lock, nil
}

func (f *freezer) wrap(file vfs.File, err error) (vfs.File, error) {
	if f.check(err) != nil {
		return nil, err
	}
	return &freezerFile{file, f}, nil
}

func (f *freezer) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.gate()
	if f.spared(name) {
		return f.FS.Create(name, c)
	}
	return f.wrap(f.FS.Create(name, c))
}

func (f *freezer) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f.gate()
	return f.wrap(f.FS.OpenReadWrite(name, c, opts...))
}

func (f *freezer) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.gate()
	return f.wrap(f.FS.ReuseForWrite(from, to, c))
}

func (f *freezer) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	if f.spared(name) {
		return file, nil
	}
	return &freezerFile{file, f}, nil
}

func (f *freezer) Rename(from, to string) error {
	f.gate()
	if f.spared(to) {
		return f.FS.Rename(from, to)
	}
	return f.check(f.FS.Rename(from, to))
}

// Link in a checkpoint may fail for any reason of a file system that has no
// links; the engine then copies, unless it can read from the error that this
// would fail too.
func (f *freezer) Link(from, to string) error {
	f.gate()
	if f.spared(to) {
		if f.FS.Link(from, to) != nil {
			return errNoLink
		}
		return nil
	}
	return f.check(f.FS.Link(from, to))
}

// Remove may fail without harm: a file too many is found at the next start.
func (f *freezer) Remove(name string) error {
	f.gate()
	return f.FS.Remove(name)
}

func (f *freezer) RemoveAll(name string) error {
	f.gate()
	return f.FS.RemoveAll(name)
}

func (f *freezer) Unwrap() vfs.FS { return f.FS }

// freezerFile is an open file behind a freezer.
type freezerFile struct {
	vfs.File
	f *freezer
}

func (w *freezerFile) Write(p []byte) (int, error) {
	w.f.gate()
	n, err := w.File.Write(p)
	return n, w.f.check(err)
}

func (w *freezerFile) WriteAt(p []byte, off int64) (int, error) {
	w.f.gate()
	n, err := w.File.WriteAt(p, off)
	return n, w.f.check(err)
}

func (w *freezerFile) Sync() error {
	w.f.gate()
	return w.f.check(w.File.Sync())
}

func (w *freezerFile) SyncData() error {
	w.f.gate()
	return w.f.check(w.File.SyncData())
}

func (w *freezerFile) SyncTo(length int64) (bool, error) {
	w.f.gate()
	full, err := w.File.SyncTo(length)
	return full, w.f.check(err)
}
