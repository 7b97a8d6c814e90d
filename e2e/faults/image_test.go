//go:build linux && amd64

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/posthorn/posthorn/internal/machine"
)

// image is an ext4 file system in a file, mounted on a folder of its own.
type image struct {
	t     testing.TB
	file  string
	mount string
	up    bool
}

// newImage makes and mounts a file system of so many MiB, and takes it down
// again at the end whatever happens.
func newImage(t testing.TB, size int) *image {
	t.Helper()
	if os.Geteuid() != 0 {
		machine.Lacks(t, "mounting a file system needs root")
	}
	mkfs := machine.Tool(t, "mkfs.ext4", "e2fsprogs")
	machine.Tool(t, "e2fsck", "e2fsprogs")
	machine.Tool(t, "mount", "mount")
	dir := t.TempDir()
	i := &image{t: t, file: filepath.Join(dir, "image"), mount: filepath.Join(dir, "mount")}
	i.must("truncate", "-s", fmt.Sprintf("%dM", size), i.file)
	i.must(mkfs, "-q", "-F", "-m", "0", i.file)
	if err := os.Mkdir(i.mount, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", i.file, i.mount).CombinedOutput(); err != nil {
		machine.Lacks(t, "a file system in a file cannot be mounted here: %s", strings.TrimSpace(string(out)))
	}
	i.up = true
	t.Cleanup(i.down)
	return i
}

func (i *image) must(command ...string) {
	i.t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		i.t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}

// down unmounts. Nobody may have a file of it open, but for a moment: a process
// that another test starts has what we have until it is the other program.
func (i *image) down() {
	i.t.Helper()
	if !i.up {
		return
	}
	i.up = false
	for end := time.Now().Add(patience); exec.Command("umount", i.mount).Run() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			i.must("umount", i.mount)
			return
		}
	}
}

// again unmounts and mounts, which replays the journal.
func (i *image) again() {
	i.t.Helper()
	i.down()
	i.must("mount", "-o", "loop,errors=remount-ro", i.file, i.mount)
	i.up = true
}

// repair mends what the kernel has noted about the file system, and what it has
// not written.
func (i *image) repair() {
	i.t.Helper()
	out, err := exec.Command("e2fsck", "-f", "-y", i.file).CombinedOutput()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 1) { // 1: mended
		i.t.Fatalf("e2fsck: %v\n%s", err, out)
	}
}

// fsck wants the file system to be in order. It unmounts it.
func (i *image) fsck() {
	i.t.Helper()
	i.down()
	i.must("e2fsck", "-f", "-n", i.file)
}

// cut is the power cut: from here on nothing reaches the file system, neither
// data nor journal, as if the machine had stopped. What was on its way is lost.
// Whoever writes must be halted before: a sync that is under way returns
// without an error, as it could not on a machine that has stopped with its disk.
func (i *image) cut() {
	i.t.Helper()
	const shutdown, withoutLog = 0x8004587D, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	root, err := os.Open(i.mount)
	if err != nil {
		i.t.Fatal(err)
	}
	defer root.Close()
	how := uint32(withoutLog)
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, root.Fd(), shutdown, uintptr(unsafe.Pointer(&how))); e != 0 {
		i.t.Fatalf("the file system cannot be shut down: %v", e)
	}
}

// freeze makes the kernel find an error in the file system, which then turns
// read-only under whoever writes to it.
func (i *image) freeze() {
	i.t.Helper()
	out, err := exec.Command("findmnt", "-n", "-o", "SOURCE", i.mount).Output()
	if err != nil {
		machine.Lacks(i.t, "no findmnt here; Debian has it in the package util-linux")
	}
	device := filepath.Base(strings.TrimSpace(string(out)))
	if err := os.WriteFile("/sys/fs/ext4/"+device+"/trigger_fs_error", []byte("test"), 0); err != nil {
		machine.Lacks(i.t, "an error of the file system cannot be triggered here: %v", err)
	}
}
