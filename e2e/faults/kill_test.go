//go:build linux && amd64

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// countdown spoils the k-th operation of a kind.
type countdown struct {
	kind    string
	k       int
	verdict verdict
	before  func() // if not nil: done before the verdict
	pass    string // a part of paths, with a slash behind each, that are not counted; empty: none
	seen    int
	where   string // what was spoilt
}

func (c *countdown) judge(o operation) verdict {
	if o.kind != c.kind || c.pass != "" && strings.Contains(o.path+"/", c.pass) {
		return verdict{}
	}
	if c.seen++; c.seen != c.k {
		return verdict{}
	}
	c.where = fmt.Sprintf("%s %d (%s)", o.kind, c.k, nameless(o.path))
	if c.before != nil {
		c.before()
	}
	return c.verdict
}

// nameless is the part of a path that is the same in every run.
func nameless(path string) string {
	folder := filepath.Base(filepath.Dir(path))
	return strings.TrimRight(folder+"/"+filepath.Base(path), "0123456789")
}

// endingShare is how many operations of a kind there are for each one that ends
// the server in CI, where the shares change from run to run. The tiles of the
// key log have made most of them.
var endingShare = map[string]int{"sync": 20, "range": 15, "write": 25, "size": 3, "rename": 8, "unlink": 6, "create": 15}

// TestKilledAtEveryOperation: the server is killed at the k-th sync, write,
// rename, unlink and creation of the scripted run, for every k that there is.
// What it had accepted is delivered once, acks that it confirmed hold or are
// undone, no mailbox is shorter, and posthornd check finds nothing. This is
// attack A38 with a process that dies.
func TestKilledAtEveryOperation(t *testing.T) {
	t.Parallel()
	needTracer(t)
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			people := newPeople(t)
			everyOperation(t, kind, endingShare[kind], func(at *countdown) *run {
				return newRun(t, filepath.Join(t.TempDir(), "data"), people)
			}, func() {})
		})
	}
}

// TestPowerCutAtEveryOperation is the same with a machine that dies: at that
// operation the file system stops taking anything, and what was not synced is
// gone.
func TestPowerCutAtEveryOperation(t *testing.T) {
	t.Parallel()
	needTracer(t)
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			disk, people, before := newImage(t, 512), newPeople(t), ""
			everyOperation(t, kind, 2*endingShare[kind], func(at *countdown) *run {
				if err := os.RemoveAll(before); err != nil { // a cut may bring it back
					t.Fatal(err)
				}
				before = filepath.Join(disk.mount, fmt.Sprint(kind, at.k))
				r := newRun(t, before, people)
				at.before = func() {
					// The tracer, which waits here, would have to see to a halt; whoever
					// comes to an operation waits for the tracer.
					r.server.signal(syscall.SIGSTOP)
					disk.cut()
				}
				return r
			}, disk.again)
			disk.fsck()
		})
	}
}

// everyOperation ends the script at each operation of a kind, or at one of
// part, and recovers after each.
func everyOperation(t *testing.T, kind string, part int, prepare func(*countdown) *run, mend func()) {
	points, accepted, repeats := 0, 0, 0
	step, first := share(part)
	for k := first; ; k += step {
		at := &countdown{kind: kind, k: k, verdict: verdict{kill: true}}
		r := prepare(at)
		r.server.judge = at.judge
		err := r.script()
		if at.where == "" {
			if err != nil {
				t.Errorf("nothing was spoilt, but: %v", err)
			}
			if points == 0 && at.seen > 0 && !t.Failed() {
				k, step = lateStart(first, step, at.seen)
				continue
			}
			t.Logf("ended at %d of %d; %d envelopes accepted before, %d given again, 0 lost", points, at.seen, accepted, repeats)
			return
		}
		if err != nil && !r.server.dead() {
			t.Errorf("%s: the server lives, but: %v", at.where, err)
		}
		r.server.kill()
		mend()
		accepted += r.ledger.accepted
		r.recover("ended at " + at.where)
		points, repeats = points+1, repeats+r.ledger.repeats
		if t.Failed() {
			return
		}
	}
}
