package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/blob/blobtest"
)

// gateway is a running S3 server over a folder: Versity's, pinned in tools/s3.mod.
type gateway struct {
	address string
	folder  string // each folder in it is a bucket
}

func startGateway(t *testing.T) *gateway {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds an S3 server")
	}
	folder := t.TempDir()
	program := filepath.Join(folder, "s3-server")
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=tools/s3.mod", "-o", program, "github.com/versity/versitygw/cmd/versitygw")
	build.Dir = filepath.Join("..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		machine.Lacks(t, "the S3 server of tools/s3.mod cannot be built here (%v: %.200s)", err, out)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "posthorn-test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "no secret of anybody's")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	g := &gateway{address: machine.Address(t), folder: filepath.Join(folder, "buckets")}
	for _, sub := range []string{g.folder, filepath.Join(folder, "sidecar")} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, program, "--port", g.address, "--access", "posthorn-test", "--secret", "no secret of anybody's",
		"posix", "--sidecar", filepath.Join(folder, "sidecar"), g.folder)
	log := &strings.Builder{}
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = process.Wait()
		if t.Failed() {
			t.Logf("the S3 server: %.2000s", log)
		}
	})
	g.await(t)
	return g
}

func (g *gateway) await(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", g.address, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the S3 server does not answer: %v", err)
		}
	}
}

// url is the address of a bucket.
func (g *gateway) url(bucket string) string {
	return fmt.Sprintf("s3://%s?region=us-east-1&use_path_style=true&endpoint=%s", bucket, url.QueryEscape("http://"+g.address))
}

// bucket makes an empty bucket and opens it.
func (g *gateway) bucket(t *testing.T) *Bucket {
	t.Helper()
	name := "bucket-" + blobtest.NewID().String()
	if err := os.Mkdir(filepath.Join(g.folder, name), 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), g.url(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContract(t *testing.T) {
	g := startGateway(t)
	blobtest.Run(t, func(t *testing.T) blob.Store { return g.bucket(t) })

	t.Run("TwoServersOverOneBucket", func(t *testing.T) {
		a := g.bucket(t)
		id, file := blobtest.NewID(), blobtest.FileOf(2*blob.PartSize+1)
		blobtest.WritePart(t, a, id, file, 0)
		entries, err := os.ReadDir(g.folder)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Open(t.Context(), g.url(entries[bucketOf(t, g, id)].Name()))
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
		b := g.bucket(t)
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
		if _, err := Open(t.Context(), g.url("no-such-bucket")); !errors.Is(err, ErrBucket) {
			t.Error("a bucket that is not there was opened")
		}
		if err := os.Mkdir(filepath.Join(g.folder, "bucket-of-mine"), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
		if _, err := Open(t.Context(), g.url("bucket-of-mine")); !errors.Is(err, ErrBucket) {
			t.Error("a bucket was opened with a wrong secret")
		}
	})

	t.Run("FailuresNameNoFile", func(t *testing.T) {
		b := g.bucket(t)
		if err := os.RemoveAll(g.folder); err != nil {
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
func bucketOf(t *testing.T, g *gateway, id blob.ID) int {
	t.Helper()
	entries, err := os.ReadDir(g.folder)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		if _, err := os.Stat(filepath.Join(g.folder, e.Name(), id.String())); err == nil {
			return i
		}
	}
	t.Fatal("no bucket holds the file")
	return 0
}
