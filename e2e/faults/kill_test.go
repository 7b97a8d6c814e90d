//go:build linux && amd64

package faults

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// countdown spoils the k-th operation of a kind.
type countdown struct {
	kind    string
	k       int
	verdict verdict
	seen    int
	where   string // what was spoilt
}

func (c *countdown) judge(o operation) verdict {
	if o.kind != c.kind {
		return verdict{}
	}
	if c.seen++; c.seen != c.k {
		return verdict{}
	}
	c.where = fmt.Sprintf("%s %d (%s)", o.kind, c.k, nameless(o.path))
	return c.verdict
}

// nameless is the part of a path that is the same in every run.
func nameless(path string) string {
	folder := filepath.Base(filepath.Dir(path))
	return strings.TrimRight(folder+"/"+filepath.Base(path), "0123456789")
}

// TestKilledAtEveryOperation: the server is killed at the k-th sync, write,
// rename, unlink and creation of the scripted run, for every k that there is.
// What it had accepted is delivered once, acks that it confirmed hold or are
// undone, no mailbox is shorter, and posthornd check finds nothing. This is
// attack A38 with a process that dies.
func TestKilledAtEveryOperation(t *testing.T) {
	needTracer(t)
	people := newPeople(t)
	step, first := share(6)
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			points, accepted, repeats := 0, 0, 0
			for k := first; ; k += step {
				r := newRun(t, filepath.Join(t.TempDir(), "data"), people)
				at := &countdown{kind: kind, k: k, verdict: verdict{kill: true}}
				r.server.judge = at.judge
				err := r.script()
				if at.where == "" {
					if err != nil {
						t.Errorf("nothing was spoilt, but: %v", err)
					}
					t.Logf("killed at %d of %d; %d envelopes accepted before, %d given again, 0 lost", points, at.seen, accepted, repeats)
					return
				}
				if err != nil && !r.server.dead() {
					t.Errorf("%s: the server lives, but: %v", at.where, err)
				}
				accepted += r.ledger.accepted
				r.recover("killed at " + at.where)
				points, repeats = points+1, repeats+r.ledger.repeats
				if t.Failed() {
					return
				}
			}
		})
	}
}
