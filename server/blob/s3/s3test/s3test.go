// Package s3test starts a private S3 server for tests, over a folder: Versity's,
// pinned in tools/s3.mod.
//
// The package is for tests alone.
package s3test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
)

const (
	keyID  = "posthorn-test"
	secret = "no secret of anybody's"
)

// Gateway is a running S3 server.
type Gateway struct {
	Folder  string // each folder in it is a bucket
	address string
}

// Start builds and runs a server until the test ends. It is skipped with -short.
func Start(t testing.TB) *Gateway {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds an S3 server")
	}
	folder := t.TempDir()
	program := filepath.Join(folder, "s3-server")
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=tools/s3.mod", "-o", program, "github.com/versity/versitygw/cmd/versitygw")
	build.Dir = root(t)
	if out, err := build.CombinedOutput(); err != nil {
		machine.Lacks(t, "the S3 server of tools/s3.mod cannot be built here (%v: %.200s)", err, out)
	}
	g := &Gateway{address: machine.Address(t), Folder: filepath.Join(folder, "buckets")}
	for _, sub := range []string{g.Folder, filepath.Join(folder, "sidecar")} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, program, "--port", g.address, "--access", keyID, "--secret", secret,
		"posix", "--sidecar", filepath.Join(folder, "sidecar"), g.Folder)
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

// root is the folder of this module.
func root(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("the module's folder is not known")
	}
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}

func (g *Gateway) await(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
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

// Env is what a program needs in its environment to use the server.
func (g *Gateway) Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + keyID, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_EC2_METADATA_DISABLED=true"}
}

// Setenv gives the test itself the environment of Env.
func (g *Gateway) Setenv(t *testing.T) {
	t.Helper()
	for _, pair := range g.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

// URL is the address of a bucket.
func (g *Gateway) URL(bucket string) string {
	return fmt.Sprintf("s3://%s?region=us-east-1&use_path_style=true&endpoint=%s", bucket, url.QueryEscape("http://"+g.address))
}

// Bucket makes an empty bucket and returns its name.
func (g *Gateway) Bucket(t testing.TB) string {
	t.Helper()
	name := "bucket-" + strings.ToLower(rand.Text())
	if err := os.Mkdir(filepath.Join(g.Folder, name), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}
