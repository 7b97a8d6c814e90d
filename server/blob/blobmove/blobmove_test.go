package blobmove_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/blob/blobmove"
	"github.com/posthorn/posthorn/server/blob/blobtest"
	"github.com/posthorn/posthorn/server/blob/dir"
	"github.com/posthorn/posthorn/server/blob/s3"
	"github.com/posthorn/posthorn/server/blob/s3/s3test"
)

func TestContract(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return blobmove.New(folder(t, t.TempDir())) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func folder(t *testing.T, path string) blob.Store {
	t.Helper()
	d, err := dir.Open(path)
	must(t, err)
	return d
}

// yesterday is when the files of the tests were finished.
var yesterday = time.UnixMilli(time.Now().Add(-24 * time.Hour).UnixMilli())

// add leaves a finished file.
func add(t *testing.T, s blob.Store, size int) (blob.ID, []byte) {
	t.Helper()
	id, file := blobtest.NewID(), blobtest.FileOf(size)
	blobtest.Write(t, s, id, file)
	blobtest.Finish(t, s, id, file)
	must(t, s.Date(t.Context(), id, yesterday))
	return id, file
}

// shelf is a place with files in it, and what is said of them.
type shelf struct {
	path    string
	files   map[blob.ID][]byte
	records []blobmove.Record
}

// fill leaves files with a digest in their record, without one, and without a
// record.
func fill(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{path: t.TempDir(), files: make(map[blob.ID][]byte)}
	d := folder(t, s.path)
	for i, size := range []int{1, 1040, blob.PartSize, 2*blob.PartSize + 77, 30, 40} {
		id, file := add(t, d, size)
		s.files[id] = file
		r := blobmove.Record{ID: id, Size: uint64(size)}
		if i%3 == 0 {
			sum := sha512.Sum384(file)
			r.Digest = sum[:]
		}
		if i%3 != 2 {
			s.records = append(s.records, r)
		}
	}
	blobtest.WritePart(t, d, blobtest.NewID(), blobtest.FileOf(100), 0)
	return s
}

func (s *shelf) plan() blobmove.Plan {
	return blobmove.Plan{Records: func(_ context.Context, visit func(blobmove.Record) error) error {
		for _, r := range s.records {
			if err := visit(r); err != nil {
				return err
			}
		}
		return nil
	}}
}

// move moves and says what became of it.
func (s *shelf) move(t *testing.T, to blob.Store, plan blobmove.Plan) (blobmove.Sum, error) {
	t.Helper()
	committed := false
	sum, old, err := blobmove.New(folder(t, s.path)).Move(t.Context(), to, plan, func() error { committed = true; return nil })
	if committed != (err == nil) || (old != nil) != committed {
		t.Errorf("committed %v, old place %v, %v", committed, old, err)
	}
	return sum, err
}

// wantAll wants every file as it was, with its date.
func wantAll(t *testing.T, s blob.Store, files map[blob.ID][]byte) {
	t.Helper()
	n := 0
	must(t, s.List(t.Context(), func(f blob.File) error {
		n++
		file := files[f.ID]
		got, err := s.Read(t.Context(), f.ID, 0, len(file)+1)
		if err != nil || !bytes.Equal(got, file) || !f.Finished.Equal(yesterday) {
			t.Errorf("%d bytes of %d, finished %v, %v", len(got), len(file), f.Finished, err)
		}
		return nil
	}))
	if n != len(files) {
		t.Errorf("%d files, want %d", n, len(files))
	}
}

func TestFilesArriveWithTheirAge(t *testing.T) {
	t.Run("Folder", func(t *testing.T) {
		s, to := fill(t), folder(t, t.TempDir())
		arrive(t, s, to)
	})
	t.Run("Bucket", func(t *testing.T) {
		g := s3test.Start(t)
		g.Setenv(t)
		b, err := s3.Open(t.Context(), g.URL(g.Bucket(t)))
		must(t, err)
		s := fill(t)
		arrive(t, s, b)
		back := folder(t, t.TempDir())
		_, _, err = blobmove.New(b).Move(t.Context(), back, s.plan(), func() error { return nil })
		must(t, err)
		wantAll(t, back, s.files)
		must(t, b.Close())
	})
}

func arrive(t *testing.T, s *shelf, to blob.Store) {
	t.Helper()
	gone := blobmove.Record{ID: blobtest.NewID(), Size: 5}
	s.records = append(s.records, gone)
	var last blobmove.Sum
	plan := s.plan()
	plan.Watch = func(sum blobmove.Sum) { last = sum }
	sum, err := s.move(t, to, plan)
	must(t, err)
	if sum.Copied != 6 || sum.Present != 0 || sum.Missing != 1 || !slices.Equal(sum.Lost, []blob.ID{gone.ID}) || last.Copied != 6 || last.Bytes != sum.Bytes {
		t.Errorf("%+v, watched %+v", sum, last)
	}
	wantAll(t, to, s.files)
	if sum, err := s.move(t, to, s.plan()); err != nil || sum.Copied != 0 || sum.Present != 4 {
		t.Errorf("again: %+v, %v", sum, err)
	}
	wantAll(t, folder(t, s.path), s.files)
}

// What an interrupted move has left is gone on with; what is wrong there is
// made right.
func TestMoveGoesOn(t *testing.T) {
	s, at := fill(t), t.TempDir()
	to := folder(t, at)
	stop := errors.New("stop")
	plan := s.plan()
	records := plan.Records
	plan.Records = func(ctx context.Context, visit func(blobmove.Record) error) error {
		seen := 0
		return records(ctx, func(r blobmove.Record) error {
			if seen++; seen > 3 {
				return stop
			}
			return visit(r)
		})
	}
	if _, err := s.move(t, to, plan); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	altered, short := s.records[0].ID, s.records[1].ID
	spoil(t, at, altered, func(b []byte) []byte { b[0] ^= 1; return b })
	spoil(t, at, short, func(b []byte) []byte { return b[:len(b)-1] })
	sum, err := s.move(t, to, s.plan())
	if err != nil || sum.Present != 1 || sum.Copied != 5 {
		t.Errorf("%+v, %v; want one that is there and five that are copied", sum, err)
	}
	wantAll(t, to, s.files)
}

// spoil changes a finished file behind the back of a folder.
func spoil(t *testing.T, root string, id blob.ID, change func([]byte) []byte) {
	t.Helper()
	found := false
	must(t, filepath.WalkDir(root, func(at string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != id.String() {
			return err
		}
		found = true
		b, err := os.ReadFile(at)
		must(t, err)
		return os.WriteFile(at, change(b), 0o600)
	}))
	if !found {
		t.Fatal("no such file")
	}
}

// A damaged file is named, everything else is copied, and nothing is exchanged.
func TestDamagedFilesAreNamed(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"altered": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":     func(b []byte) []byte { return b[:len(b)-1] },
		"longer":  func(b []byte) []byte { return append(b, 0) },
	} {
		s, to := fill(t), folder(t, t.TempDir())
		bad := s.records[2] // of two parts, with a digest
		whole := bytes.Clone(s.files[bad.ID])
		spoil(t, s.path, bad.ID, change)
		_, err := s.move(t, to, s.plan())
		damaged, ok := errors.AsType[*blobmove.DamagedError](err)
		if !ok || !slices.Equal(damaged.IDs, []blob.ID{bad.ID}) {
			t.Fatalf("%s: %v", name, err)
		}
		delete(s.files, bad.ID)
		wantAll(t, to, s.files)
		spoil(t, s.path, bad.ID, func([]byte) []byte { return whole })
		must(t, folder(t, s.path).Date(t.Context(), bad.ID, yesterday))
		s.files[bad.ID] = whole
		if sum, err := s.move(t, to, s.plan()); err != nil || sum.Copied != 1 {
			t.Errorf("%s, put right: %+v, %v", name, sum, err)
		}
		wantAll(t, to, s.files)
	}
}

// Uploads are finished and files removed before, while and after everything is
// moved. The new place has what the old one would have, and nothing is changed
// while the places are exchanged.
func TestMoveUnderLoad(t *testing.T) {
	s, to := fill(t), folder(t, t.TempDir())
	used := blobmove.New(folder(t, s.path))
	removed := s.records[0].ID
	var once sync.Once
	plan := s.plan()
	plan.Watch = func(blobmove.Sum) {
		once.Do(func() {
			id, file := add(t, used, 3000)
			s.files[id] = file
			must(t, used.Remove(t.Context(), removed))
			delete(s.files, removed)
			if _, _, err := used.Move(t.Context(), to, plan, nil); !errors.Is(err, blobmove.ErrMoving) {
				t.Errorf("a second move: %v", err)
			}
		})
	}
	begun := blobtest.NewID()
	blobtest.WritePart(t, used, begun, blobtest.FileOf(2*blob.PartSize), 0)
	_, old, err := used.Move(t.Context(), to, plan, func() error {
		if err := used.WritePart(t.Context(), blobtest.NewID(), 0, []byte("x")); !errors.Is(err, blobmove.ErrPaused) {
			t.Errorf("a part at the exchange: %v", err)
		}
		if err := used.Finish(t.Context(), begun, 1); !errors.Is(err, blobmove.ErrPaused) {
			t.Errorf("a finish at the exchange: %v", err)
		}
		if n, err := used.Sweep(t.Context(), time.Now(), time.Now()); n != 0 || err != nil {
			t.Errorf("a sweep at the exchange: %d, %v", n, err)
		}
		wantAll(t, used, s.files)
		return nil
	})
	must(t, err)
	must(t, old.Close())
	wantAll(t, to, s.files)
	if err := used.WritePart(t.Context(), begun, 1, make([]byte, blob.PartSize)); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("an upload that was begun at the old place: %v", err)
	}
	id, file := add(t, used, 4000)
	s.files[id] = file
	wantAll(t, to, s.files)
}

// When the move cannot be made known, or is called off, the old place stays.
func TestMoveThatFails(t *testing.T) {
	s, to := fill(t), folder(t, t.TempDir())
	used := blobmove.New(folder(t, s.path))
	stop := errors.New("stop")
	if _, _, err := used.Move(t.Context(), to, s.plan(), func() error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	plan := s.plan()
	plan.Watch = func(blobmove.Sum) { cancel() }
	if _, _, err := used.Move(ctx, folder(t, t.TempDir()), plan, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	id, file := add(t, used, 10)
	s.files[id] = file
	wantAll(t, folder(t, s.path), s.files)
}
