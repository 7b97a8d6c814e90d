//go:build linux && amd64

package faults

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/client/transport"
)

// TestDiskFailsAtAnyOperation: the k-th sync, write, rename or creation of the
// scripted run fails once, as on a dying disk (EIO) and on a full one
// (ENOSPC), and everything works again afterwards. A server that runs says that
// it is not ready and refuses writes, for good, while reads go on; one that
// starts or stops ends with an explanation. Nothing that was accepted is lost.
func TestDiskFailsAtAnyOperation(t *testing.T) {
	t.Parallel()
	needTracer(t)
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for _, kind := range []string{"sync", "write", "rename", "create"} {
			t.Run(fmt.Sprintf("%s at %s", errno, kind), func(t *testing.T) {
				t.Parallel()
				people, points, frozen, ended := newPeople(t), 0, 0, 0
				step, first := share(shareOf[kind])
				for k := first; ; k += step {
					r := newRun(t, filepath.Join(t.TempDir(), "data"), people)
					at := &countdown{kind: kind, k: k, verdict: verdict{errno: errno}, pass: tiles}
					r.server.judge = at.judge
					err := r.script()
					if at.where == "" {
						if points == 0 && at.seen > 0 {
							k, step = lateStart(first, step, at.seen)
							continue
						}
						t.Logf("%d of %d failed: the server stopped writing %d times, ended with a word %d times; 0 lost", points, at.seen, frozen, ended)
						return
					}
					points++
					switch {
					case err == nil:
						t.Errorf("%s: nobody noticed", at.where)
					case !r.server.frozen():
						ended++
						r.wantExplanation(at.where)
					default:
						frozen++
						r.wantFrozen(at.where)
					}
					r.recover(errno.Error() + " at " + at.where)
					if t.Failed() {
						return
					}
				}
			})
		}
	}
}

// shareOf is how many operations of a kind there are for each one that fails
// in CI.
var shareOf = map[string]int{"sync": 15, "write": 20, "rename": 2, "create": 8}

// tiles are the files of the key log, and its folder. They follow from the store and are made
// again from it, so that a failure there is not one of the store.
const tiles = "/data/kt/"

// wantExplanation: a server that ended says why, with the exit code of a
// failure that an operator can mend.
func (r *run) wantExplanation(where string) {
	r.t.Helper()
	logs := r.server.logs.String()
	if r.server.code != 1 || !strings.Contains(logs, "posthornd: error: ") || !strings.Contains(logs, "posthornd: hint: ") || strings.Contains(logs, "goroutine ") {
		r.t.Errorf("%s: ended with code %d and\n%s", where, r.server.code, logs)
	}
}

// wantFrozen: a server that runs on a failed disk is not ready, refuses writes,
// and still delivers; when it is stopped it says why.
func (r *run) wantFrozen(where string) {
	r.t.Helper()
	if code := r.server.health(); code != 503 {
		r.t.Errorf("%s: health %d", where, code)
	}
	for _, d := range r.people {
		if p := r.ledger.bundles[d]; p == nil || p.sure < 0 {
			continue
		}
		refused, ok := errors.AsType[*transport.Error](r.send(d, d, 1, 100))
		if !ok || refused.Reason != api.ReasonStorage || refused.Hint == "" {
			r.t.Errorf("%s: a write gave %v", where, refused)
		}
		if got, err := d.fetch(); err != nil {
			r.t.Errorf("%s: a read failed: %v", where, err)
		} else {
			r.ledger.took(d, got)
		}
	}
	r.server.stop()
	r.wantExplanation(where)
	if !strings.Contains(r.server.logs.String(), "the store stops accepting writes") {
		r.t.Errorf("%s: the log does not say that the store stopped", where)
	}
}
