//go:build linux && amd64

package faults

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
)

// cuts is how often the power fails.
func cuts() int {
	if *whole {
		return 100
	}
	return machine.Count(5, 10, 100)
}

// TestPowerCuts: under load, at a random moment, the file system stops taking
// anything, and what was not synced is gone. After the journal was replayed a
// server starts, and the ledger comes out even. Every tenth life begins with an
// empty folder, so that some cuts fall into the making of a store. This is
// attack A38 with a machine that dies.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	disk := newImage(t, 512)
	wantBite(t, disk)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 6))
	people := newPeople(t)
	accepted, repeats, young := 0, 0, 0
	var r *run
	for n := range cuts() {
		fresh := n%10 == 0
		if fresh {
			r = newRun(t, filepath.Join(disk.mount, fmt.Sprint("data", n)), people)
		}
		if !r.surviveCut(disk, random, fresh) {
			young++
		}
		r.recover(fmt.Sprintf("power cut %d", n+1))
		accepted, repeats = accepted+r.ledger.accepted, repeats+r.ledger.repeats
		r.ledger.accepted, r.ledger.repeats = 0, 0
		if t.Failed() {
			return
		}
	}
	disk.fsck()
	t.Logf("%d power cuts, %d of them before the server was in use; %d envelopes accepted, %d given again, 0 lost", cuts(), young, accepted, repeats)
}

// TestHaltedServerStandsStill is the control of each cut: what follows a halt
// comes after everything that the server has done.
func TestHaltedServerStandsStill(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, filepath.Join(t.TempDir(), "data"))
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	if d.halted() {
		t.Fatal("a server that runs counts as halted")
	}
	d.halt()
	if !d.halted() {
		t.Error("a thread runs after the halt")
	}
	d.signal(syscall.SIGCONT)
	if code := d.health(); code != 200 {
		t.Errorf("health %d after the halt", code)
	}
	d.kill()
}

// surviveCut runs one life up to its power cut: a random time after its start,
// or after it was in use, so that on a slow machine as well some cuts fall into
// each. It reports whether there was load at that moment.
func (r *run) surviveCut(disk *image, random *rand.Rand, fresh bool) (loaded bool) {
	r.t.Helper()
	delay := time.Duration(random.IntN(400)) * time.Millisecond
	if fresh {
		delay = time.Duration(random.IntN(80)) * time.Millisecond
	}
	done, begun := make(chan struct{}), make(chan struct{})
	inUse := sync.OnceFunc(func() { close(begun) })
	if random.IntN(2) == 0 {
		inUse()
	}
	seed := random.Uint64()
	go func() {
		defer close(done)
		<-begun
		time.Sleep(delay)
		r.server.halt()
		disk.cut()
		r.server.signal(syscall.SIGKILL)
	}()
	var work *load
	if r.server.start() == nil && (!fresh || r.register(r.people...) == nil) {
		work, loaded = r.begin(seed), true
	}
	inUse()
	<-done
	r.server.kill()
	if loaded {
		work.end()
	}
	disk.again()
	return loaded
}

// wantBite is the control: what nobody synced does not survive a cut, and what
// was synced does.
func wantBite(t *testing.T, disk *image) {
	t.Helper()
	lost, kept := filepath.Join(disk.mount, "unsynced"), filepath.Join(disk.mount, "synced")
	content := bytes.Repeat([]byte("acknowledged"), 1000)
	for _, name := range []string{kept, lost} {
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(content); err != nil {
			t.Fatal(err)
		}
		if name == kept {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		_ = f.Close()
	}
	disk.cut()
	disk.again()
	if got, err := os.ReadFile(lost); err == nil && bytes.Equal(got, content) {
		t.Fatal("a power cut does not bite: what was never synced is still there")
	}
	if got, err := os.ReadFile(kept); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("what was synced is gone: %d bytes, %v", len(got), err)
	}
}
