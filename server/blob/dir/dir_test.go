package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/blob/blobtest"
)

func TestContract(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return openIn(t, t.TempDir()) })
}

func openIn(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(filepath.Join(path, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What was finished, and how far an upload is, outlives the process.
func TestFilesOutliveTheProcess(t *testing.T) {
	path := t.TempDir()
	d := openIn(t, path)
	done, begun, file := blobtest.NewID(), blobtest.NewID(), blobtest.FileOf(2*blob.PartSize)
	blobtest.Write(t, d, done, file)
	blobtest.Finish(t, d, done, file)
	blobtest.WritePart(t, d, begun, file, 0)
	d = openIn(t, path)
	if got, err := d.Read(t.Context(), done, 0, 100); err != nil || string(got) != string(file[:100]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	blobtest.WritePart(t, d, begun, file, 1)
	blobtest.Finish(t, d, begun, file)
}

func TestOthersMayNotLookIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blobs")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	id, file := blobtest.NewID(), []byte("sealed")
	blobtest.Write(t, d, id, file)
	blobtest.Finish(t, d, id, file)
	err = filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		there, err := e.Info()
		if err == nil && there.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, there.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSweepLeavesOthersFilesAlone(t *testing.T) {
	d := openIn(t, t.TempDir())
	id := blobtest.NewID()
	blobtest.Write(t, d, id, []byte("x"))
	others := []string{filepath.Join(d.path, uploads, "README"), filepath.Join(d.path, files, "notes"), filepath.Join(d.path, uploads, strings.ToUpper(id.String())+"x")}
	for _, name := range others {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.Sweep(t.Context(), time.Now().Add(time.Hour), time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("%d removed, %v", n, err)
	}
	for _, name := range others {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}

// A failure says what failed and not which file, whose name may reach a log.
func TestFailuresNameNoFile(t *testing.T) {
	if os.Geteuid() == 0 {
		if _, err := os.Stat("/dev/full"); err != nil {
			t.Skip("no /dev/full here, so no full disk")
		}
	}
	d := openIn(t, t.TempDir())
	id := blobtest.NewID()
	if err := os.Symlink("/dev/full", d.upload(id)); err != nil {
		t.Fatal(err)
	}
	err := d.WritePart(t.Context(), id, 0, []byte("x"))
	if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), id.String()) || strings.Contains(err.Error(), "/") {
		t.Errorf("a full disk: %v", err)
	}
}
