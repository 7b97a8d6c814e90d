// Package blobtest is the suite that every driver of server/blob passes: a test
// for each sentence of the contract.
package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/blob"
)

// Run runs the suite. open gives an empty store, which the suite closes.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for name, test := range map[string]func(*testing.T, blob.Store){
		"FilesComeBack":                   filesComeBack,
		"NothingToReadBeforeTheEnd":       nothingToReadBeforeTheEnd,
		"RepeatsChangeNothing":            repeatsChangeNothing,
		"PartsNeedTheirBeginning":         partsNeedTheirBeginning,
		"RemovedFilesAreGone":             removedFilesAreGone,
		"SweepGoesByAge":                  sweepGoesByAge,
		"ListShowsFinishedFiles":          listShowsFinishedFiles,
		"DatedFilesAgeFromThen":           datedFilesAgeFromThen,
		"FilesDoNotMix":                   filesDoNotMix,
		"UnknownFilesAreNotFound":         unknownFilesAreNotFound,
		"ALostBeginningIsNoticedAtFinish": finishNeedsAllParts,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			test(t, s)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// NewID is a random id.
func NewID() (id blob.ID) {
	_, _ = rand.Read(id[:])
	return id
}

// FileOf is random content.
func FileOf(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return b
}

// Write uploads all parts of a file.
func Write(t testing.TB, s blob.Store, id blob.ID, file []byte) {
	t.Helper()
	for n := 0; n*blob.PartSize < len(file); n++ {
		WritePart(t, s, id, file, n)
	}
}

// WritePart uploads one part of a file.
func WritePart(t testing.TB, s blob.Store, id blob.ID, file []byte, n int) {
	t.Helper()
	if err := s.WritePart(t.Context(), id, n, file[n*blob.PartSize:min(len(file), (n+1)*blob.PartSize)]); err != nil {
		t.Fatal(err)
	}
}

// Finish ends an upload.
func Finish(t testing.TB, s blob.Store, id blob.ID, file []byte) {
	t.Helper()
	if err := s.Finish(t.Context(), id, uint64(len(file))); err != nil {
		t.Fatal(err)
	}
}

func wantFile(t *testing.T, s blob.Store, id blob.ID, file []byte) {
	t.Helper()
	if size, err := s.Size(t.Context(), id); err != nil || size != uint64(len(file)) {
		t.Errorf("size %d of %d, %v", size, len(file), err)
	}
	for _, r := range [][2]int{{0, len(file)}, {0, 1}, {len(file) - 1, 10}, {len(file) / 2, 1000}, {blob.PartSize - 3, 7}, {len(file), 5}, {len(file) + 9, 5}} {
		from, to := min(r[0], len(file)), min(r[0]+r[1], len(file))
		got, err := s.Read(t.Context(), id, uint64(r[0]), r[1])
		if err != nil || !bytes.Equal(got, file[from:to]) {
			t.Errorf("range %v: %d bytes, %v", r, len(got), err)
		}
	}
}

func wantNone(t *testing.T, s blob.Store, id blob.ID) {
	t.Helper()
	if _, err := s.Size(t.Context(), id); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("size: %v", err)
	}
	if b, err := s.Read(t.Context(), id, 0, 1); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("read: %d bytes, %v", len(b), err)
	}
}

func filesComeBack(t *testing.T, s blob.Store) {
	for _, size := range []int{1, 1040, blob.PartSize, blob.PartSize + 1, 2*blob.PartSize + 77} {
		id, file := NewID(), FileOf(size)
		Write(t, s, id, file)
		Finish(t, s, id, file)
		wantFile(t, s, id, file)
	}
}

func nothingToReadBeforeTheEnd(t *testing.T, s blob.Store) {
	id, file := NewID(), FileOf(blob.PartSize+5)
	WritePart(t, s, id, file, 0)
	wantNone(t, s, id)
	WritePart(t, s, id, file, 1)
	wantNone(t, s, id)
}

func repeatsChangeNothing(t *testing.T, s blob.Store) {
	id, file := NewID(), FileOf(2*blob.PartSize+5)
	WritePart(t, s, id, file, 0)
	WritePart(t, s, id, file, 0)
	WritePart(t, s, id, file, 1)
	WritePart(t, s, id, file, 2)
	WritePart(t, s, id, file, 1)
	Finish(t, s, id, file)
	Finish(t, s, id, file)
	wantFile(t, s, id, file)
}

func partsNeedTheirBeginning(t *testing.T, s blob.Store) {
	id, file := NewID(), FileOf(2*blob.PartSize)
	if err := s.WritePart(t.Context(), id, 1, file[blob.PartSize:]); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a second part without the first: %v", err)
	}
	wantNone(t, s, id)
}

func finishNeedsAllParts(t *testing.T, s blob.Store) {
	id, file := NewID(), FileOf(2*blob.PartSize)
	if err := s.Finish(t.Context(), id, 10); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("finishing what was never begun: %v", err)
	}
	WritePart(t, s, id, file, 0)
	if err := s.Finish(t.Context(), id, uint64(len(file))); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("finishing without the last part: %v", err)
	}
	wantNone(t, s, id)
	WritePart(t, s, id, file, 1)
	Finish(t, s, id, file)
	if err := s.Finish(t.Context(), id, uint64(len(file))-1); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("finishing again with another length: %v", err)
	}
}

func removedFilesAreGone(t *testing.T, s blob.Store) {
	id, file := NewID(), FileOf(blob.PartSize+5)
	if err := s.Remove(t.Context(), id); err != nil {
		t.Errorf("removing nothing: %v", err)
	}
	Write(t, s, id, file)
	Finish(t, s, id, file)
	if err := s.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	wantNone(t, s, id)
	WritePart(t, s, id, file, 0)
	if err := s.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := s.WritePart(t.Context(), id, 1, file[blob.PartSize:]); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("an upload goes on after its removal: %v", err)
	}
}

func sweepGoesByAge(t *testing.T, s blob.Store) {
	done, begun, file := NewID(), NewID(), FileOf(blob.PartSize+5)
	Write(t, s, done, file)
	Finish(t, s, done, file)
	WritePart(t, s, begun, file, 0)
	now := time.Now()
	past, future := now.Add(-time.Hour), now.Add(time.Hour)
	sweep(t, s, past, past, 0)
	wantFile(t, s, done, file)
	sweep(t, s, past, future, 1)
	wantFile(t, s, done, file)
	if err := s.WritePart(t.Context(), begun, 1, file[blob.PartSize:]); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("the unfinished one is still there: %v", err)
	}
	sweep(t, s, future, past, 1)
	wantNone(t, s, done)
	sweep(t, s, future, future, 0)
}

func sweep(t *testing.T, s blob.Store, finished, unfinished time.Time, want int) {
	t.Helper()
	if n, err := s.Sweep(t.Context(), finished, unfinished); err != nil || n != want {
		t.Errorf("%d removed, want %d, %v", n, want, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Sweep(ended, time.Time{}, time.Time{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a sweep that was called off: %v", err)
	}
}

func filesDoNotMix(t *testing.T, s blob.Store) {
	a, b := NewID(), NewID()
	fileA, fileB := FileOf(2*blob.PartSize), FileOf(blob.PartSize+9)
	WritePart(t, s, a, fileA, 0)
	WritePart(t, s, b, fileB, 0)
	WritePart(t, s, b, fileB, 1)
	WritePart(t, s, a, fileA, 1)
	Finish(t, s, b, fileB)
	Finish(t, s, a, fileA)
	wantFile(t, s, a, fileA)
	wantFile(t, s, b, fileB)
	if err := s.Remove(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	wantFile(t, s, b, fileB)
}

func unknownFilesAreNotFound(t *testing.T, s blob.Store) { wantNone(t, s, NewID()) }

// listed are the files of a listing.
func listed(t *testing.T, s blob.Store) map[blob.ID]time.Time {
	t.Helper()
	all := make(map[blob.ID]time.Time)
	err := s.List(t.Context(), func(f blob.File) error {
		if _, twice := all[f.ID]; twice {
			t.Error("a file is listed twice")
		}
		all[f.ID] = f.Finished
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return all
}

func listShowsFinishedFiles(t *testing.T, s blob.Store) {
	want := make(map[blob.ID]bool)
	for range 3 {
		id, file := NewID(), FileOf(blob.PartSize+5)
		Write(t, s, id, file)
		Finish(t, s, id, file)
		want[id] = true
	}
	WritePart(t, s, NewID(), FileOf(5), 0)
	all := listed(t, s)
	if len(all) != len(want) {
		t.Errorf("%d files listed, want %d", len(all), len(want))
	}
	for id := range want {
		if at, err := s.Finished(t.Context(), id); err != nil || !at.Equal(all[id]) || time.Since(at).Abs() > time.Hour {
			t.Errorf("finished at %v, listed at %v, %v", at, all[id], err)
		}
	}
	stop := errors.New("stop")
	if err := s.List(t.Context(), func(blob.File) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a listing that was ended: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.List(ended, func(blob.File) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a listing that was called off: %v", err)
	}
}

func datedFilesAgeFromThen(t *testing.T, s blob.Store) {
	past := time.UnixMilli(time.Now().Add(-48 * time.Hour).UnixMilli())
	if err := s.Date(t.Context(), NewID(), past); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("dating nothing: %v", err)
	}
	if _, err := s.Finished(t.Context(), NewID()); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("the age of nothing: %v", err)
	}
	old, young, file := NewID(), NewID(), FileOf(blob.PartSize+5)
	for _, id := range []blob.ID{old, young} {
		Write(t, s, id, file)
		if err := s.Date(t.Context(), id, past); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("dating an upload: %v", err)
		}
		Finish(t, s, id, file)
	}
	for _, at := range []time.Time{past.Add(time.Hour), past.Add(-time.Hour), past, past} {
		if err := s.Date(t.Context(), old, at); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Finished(t.Context(), old); err != nil || !got.Equal(at) || !listed(t, s)[old].Equal(at) {
			t.Errorf("dated %v, is %v, listed %v, %v", at, got, listed(t, s)[old], err)
		}
	}
	wantFile(t, s, old, file)
	sweep(t, s, past, past, 0)
	sweep(t, s, past.Add(time.Hour), past, 1)
	wantNone(t, s, old)
	wantFile(t, s, young, file)
	if n := len(listed(t, s)); n != 1 {
		t.Errorf("%d files listed after the sweep", n)
	}
}
