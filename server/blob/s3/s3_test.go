package s3

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/blob/blobtest"
	"github.com/posthorn/posthorn/server/blob/s3/s3test"
)

// newBucket makes an empty bucket and opens it.
func newBucket(t *testing.T, g *s3test.Gateway) *Bucket {
	t.Helper()
	b, err := Open(t.Context(), g.URL(g.Bucket(t)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContract(t *testing.T) {
	g := s3test.Start(t)
	g.Setenv(t)
	blobtest.Run(t, func(t *testing.T) blob.Store { return newBucket(t, g) })

	t.Run("TwoServersOverOneBucket", func(t *testing.T) {
		a := newBucket(t, g)
		id, file := blobtest.NewID(), blobtest.FileOf(2*blob.PartSize+1)
		blobtest.WritePart(t, a, id, file, 0)
		entries, err := os.ReadDir(g.Folder)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Open(t.Context(), g.URL(entries[bucketOf(t, g, id)].Name()))
		if err != nil {
			t.Fatal(err)
		}
		blobtest.WritePart(t, b, id, file, 1)
		blobtest.WritePart(t, a, id, file, 2)
		blobtest.Finish(t, b, id, file)
		got, err := a.Read(t.Context(), id, blob.PartSize-5, 10)
		if err != nil || string(got) != string(file[blob.PartSize-5:blob.PartSize+5]) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		for _, s := range []*Bucket{a, b} {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})

	t.Run("OthersObjectsStay", func(t *testing.T) {
		b := newBucket(t, g)
		for _, key := range []string{"notes", "backup/p000000", blobtest.NewID().String() + "/readme"} {
			if err := b.bucket.WriteAll(t.Context(), key, []byte("x"), nil); err != nil {
				t.Fatal(err)
			}
		}
		future := time.Now().Add(time.Hour)
		if n, err := b.Sweep(t.Context(), future, future); n != 0 || err != nil {
			t.Errorf("%d removed, %v", n, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})

	t.Run("BucketsThatCannotBeUsed", func(t *testing.T) {
		if _, err := Open(t.Context(), g.URL("no-such-bucket")); !errors.Is(err, ErrBucket) {
			t.Error("a bucket that is not there was opened")
		}
		if err := os.Mkdir(filepath.Join(g.Folder, "bucket-of-mine"), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
		if _, err := Open(t.Context(), g.URL("bucket-of-mine")); !errors.Is(err, ErrBucket) {
			t.Error("a bucket was opened with a wrong secret")
		}
	})

	t.Run("FailuresNameNoFile", func(t *testing.T) {
		b := newBucket(t, g)
		if err := os.RemoveAll(g.Folder); err != nil {
			t.Fatal(err)
		}
		id := blobtest.NewID()
		err := b.WritePart(t.Context(), id, 0, []byte("x"))
		if err == nil || strings.Contains(err.Error(), id.String()) || strings.Contains(err.Error(), "bucket-") {
			t.Errorf("%v", err)
		}
	})
}

// bucketOf is which bucket of the gateway holds a file.
func bucketOf(t *testing.T, g *s3test.Gateway, id blob.ID) int {
	t.Helper()
	entries, err := os.ReadDir(g.Folder)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		if _, err := os.Stat(filepath.Join(g.Folder, e.Name(), id.String())); err == nil {
			return i
		}
	}
	t.Fatal("no bucket holds the file")
	return 0
}
