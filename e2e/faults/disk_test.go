//go:build linux && amd64

package faults

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestDiskRunsFull: the file system fills up under load. Whatever the server
// answered for is there, it refuses writes and says so, and goes on
// delivering; with room on the disk and a restart all is well.
func TestDiskRunsFull(t *testing.T) {
	t.Parallel()
	disk := newImage(t, 160)
	r := newRun(t, filepath.Join(disk.mount, "data"), newPeople(t))
	r.warm()
	ballast := filepath.Join(disk.mount, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	work := r.begin(1)
	for block := make([]byte, 1<<20); err == nil; time.Sleep(time.Millisecond) {
		_, err = f.Write(block)
	}
	r.wantStopped(work, "disk full", func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	})
}

// TestDiskTurnsReadOnly: the kernel finds an error in the file system and
// mounts it read-only under load, between two calls of the server: a sync that
// is under way at that moment ext4 answers without an error, though what it
// synced is lost, and no program can know better.
func TestDiskTurnsReadOnly(t *testing.T) {
	t.Parallel()
	disk := newImage(t, 160)
	r := newRun(t, filepath.Join(disk.mount, "data"), newPeople(t))
	r.warm()
	work := r.begin(2)
	time.Sleep(100 * time.Millisecond)
	r.server.halt()
	disk.freeze()
	r.server.signal(syscall.SIGCONT)
	r.wantStopped(work, "read-only", func() {
		disk.down()
		disk.repair()
		disk.again()
	})
}

// warm starts a server that holds something.
func (r *run) warm() {
	r.t.Helper()
	alice, bob, carol := r.people[0], r.people[1], r.people[2]
	err := inOrder(r.server.start,
		func() error { return r.register(alice, bob, carol) },
		func() error { return r.send(alice, bob, 5, 1000) },
		func() error { return r.send(alice, carol, 5, 1000) })
	if err != nil {
		r.t.Fatal(err)
	}
}

// wantStopped waits until the store has stopped, wants the server to behave as
// it says it does then, mends the disk and recovers.
func (r *run) wantStopped(work *load, what string, mend func()) {
	r.t.Helper()
	for end := time.Now().Add(patience); r.server.health() != 503; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: the server never said that it is not ready", what)
		}
	}
	work.end()
	accepted := r.ledger.accepted
	r.wantFrozen(what)
	mend()
	r.recover(what)
	r.t.Logf("%s after %d envelopes were accepted; 0 lost", what, accepted)
}
