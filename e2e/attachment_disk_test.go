//go:build linux

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/posthorn/posthorn/internal/machine"
)

// smallDisk is a folder with so much room, gone when the test ends.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("posthorn", folder, "tmpfs", 0, "size="+size); err != nil {
		machine.Lacks(t, "a small file system cannot be mounted here (%v); that needs root", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(folder, 0) })
	return folder
}

// TestAttachmentsOnFullDisks: the folder of the receiver is full, then the one
// of the server. Each is told so, nothing half is there under the file's name,
// and with room the transfer goes on.
func TestAttachmentsOnFullDisks(t *testing.T) {
	t.Parallel()
	blobs := smallDisk(t, "8m")
	d := startDaemon(t, "--blobs", blobs)
	alice, bob := contacts(t, d)
	path, data := randomFile(t, "film.mp4", 5<<20)
	alice.must("send", "@bob", "-a", path)
	bob.must("read")
	id := idsIn(bob.must("attachment", "list", "--json"))[0]

	folder := smallDisk(t, "3m")
	r := bob.run("attachment", "save", id, folder)
	if r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, "the disk is full, the file was not saved") {
		t.Errorf("full here: exit %d, %q, %s", r.code, r.stdout, r.stderr)
	}
	if _, err := os.Stat(filepath.Join(folder, "film.mp4")); err == nil {
		t.Error("half a file lies under the name of the whole")
	}
	if err := syscall.Mount("posthorn", folder, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	bob.must("attachment", "save", id, folder)
	if got, err := os.ReadFile(filepath.Join(folder, "film.mp4")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}

	second, _ := randomFile(t, "second.mp4", 5<<20)
	if r := alice.run("send", "@bob", "-a", second); r.code != 3 || !strings.Contains(r.stderr, "no message was sent") {
		t.Errorf("full there: exit %d, %s", r.code, r.stderr)
	}
	if err := syscall.Mount("posthorn", blobs, "tmpfs", syscall.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
	alice.must("send", "@bob", "-a", second)
	if ids := idsIn(bob.must("read") + bob.must("attachment", "list", "--json")); len(ids) != 2 {
		t.Errorf("%d attachments arrived", len(ids))
	}
}
