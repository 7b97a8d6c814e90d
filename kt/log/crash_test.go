package log

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store/memory"
)

var errCrash = errors.New("the process is gone")

// dying is a store under a process that ends at one of its writes, before the
// write or just after it.
type dying struct {
	Records
	left  atomic.Int64
	after bool
	dead  atomic.Bool
}

func (d *dying) CAS(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	if d.dead.Load() {
		return 0, errCrash
	}
	if d.left.Add(-1) >= 0 {
		return d.Records.CAS(ctx, key, want, val)
	}
	d.dead.Store(true)
	if d.after {
		_, _ = d.Records.CAS(ctx, key, want, val)
	}
	return 0, errCrash
}

func (d *dying) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if d.dead.Load() {
		return nil, 0, errCrash
	}
	return d.Records.Get(ctx, key)
}

// A process that ends at any write loses nothing that was confirmed, and what it
// leaves is one log: no size of U has two roots, and each root follows.
func TestCrashAtEveryWrite(t *testing.T) {
	for _, after := range []bool{false, true} {
		for step := range int64(12) {
			t.Run(fmt.Sprintf("write %d after=%v", step, after), func(t *testing.T) {
				t.Parallel()
				crashAt(t, step, after)
			})
		}
	}
}

func crashAt(t *testing.T, step int64, after bool) {
	d := &dying{Records: memory.New(), after: after}
	d.left.Store(step)
	o := Options{Folder: filepath.Join(t.TempDir(), "kt"), KeysFolder: filepath.Join(t.TempDir(), "keys"), Records: d, Interval: time.Millisecond, Now: time.Now}
	confirmed := untilDeath(t, o, d)
	o.Records = d.Records
	l := open(t, o)
	for _, r := range confirmed {
		proves(t, l, string(r.Name), &r, Asked{}, kt.Known{})
	}
	for i := range 3 {
		r := recordOf(fmt.Sprintf("user%d", i), 1)
		publish(t, l, r)
		proves(t, l, string(r.Name), &r, Asked{}, kt.Known{})
	}
	audit(t, d.Records)
}

// untilDeath publishes until the store is dead, and returns what was confirmed.
func untilDeath(t *testing.T, o Options, d *dying) (confirmed []kt.Record) {
	l, err := Open(within(t), o)
	if err != nil {
		if !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		return nil
	}
	defer l.Close() //nolint:errcheck // it died
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	go func() {
		for !d.dead.Load() && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	for i := range 3 {
		r := recordOf(fmt.Sprintf("user%d", i), 0)
		if l.Publish(ctx, r) == nil {
			confirmed = append(confirmed, r)
		}
	}
	return confirmed
}

// audit replays a log as an auditor does.
func audit(t *testing.T, records Records) {
	t.Helper()
	replayed, roots := kt.NewReplay(), map[uint64]bool{}
	first := true
	err := eachEpoch(within(t), records, 0, func(e epochRecord) error {
		if first {
			first = false
			return nil
		}
		for _, u := range e.updates {
			if err := replayed.Add(u); err != nil {
				return err
			}
		}
		root, err := kt.ParseRoot(e.entry)
		if err != nil {
			return err
		}
		if roots[root.Updates] {
			return errors.New("two roots of one size")
		}
		roots[root.Updates] = true
		return replayed.Check(root)
	})
	if err != nil {
		t.Errorf("an auditor: %v", err)
	}
}

func TestRecordsOfTheLogAreRead(t *testing.T) {
	records := memory.New()
	l := open(t, Options{Folder: filepath.Join(t.TempDir(), "kt"), KeysFolder: filepath.Join(t.TempDir(), "keys"), Records: records, Shared: true})
	publish(t, l, recordOf("alice", 0))
	rows, err := records.Scan(within(t), "kt/", "", 100)
	if err != nil || len(rows) < 6 {
		t.Fatalf("%d records, %v", len(rows), err)
	}
	for _, row := range rows {
		if err := CheckRecord(row.Key, row.Val); err != nil {
			t.Errorf("%s: %v", row.Key, err)
		}
		if row.Key != policyKey && CheckRecord(row.Key, append(row.Val, 0)) == nil {
			t.Errorf("%s: one byte more is taken", row.Key)
		}
		if !strings.HasPrefix(row.Key, epochPrefix) && row.Key != policyKey && CheckRecord(row.Key, row.Val[1:]) == nil {
			t.Errorf("%s: one byte less is taken", row.Key)
		}
	}
	if CheckRecord("kt/what", nil) == nil || CheckRecord(epochPrefix+"1", nil) == nil || CheckRecord(labelPrefix+"A", nil) == nil {
		t.Error("an unknown record is taken")
	}
}
