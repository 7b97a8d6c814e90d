package log

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store/memory"
	"github.com/posthorn/posthorn/server/store/pebble"
)

var names = flag.Int("names", 20_000, "how many names the log of TestRestartOfALargeLog has")

// A log of many names is read back at a start: only the map and the edges of the
// trees are made again. The time is told, and not judged here.
func TestRestartOfALargeLog(t *testing.T) {
	records, err := pebble.Open(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	want := fill(t, records, *names)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	g, err := replay(within(t), records, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if g.m.Root() != want || g.m.Len() != *names {
		t.Error("another map")
	}
	t.Logf("%d names: %v, %d MiB of heap", *names, took.Round(time.Millisecond), (after.HeapAlloc-before.HeapAlloc)>>20)
}

// fill writes a log of so many hidden names. Only its last root is right, which
// is the only one that a start looks at.
func fill(t *testing.T, records Records, n int) (root [32]byte) {
	t.Helper()
	g := newLedger(nil)
	write := func(e epochRecord) {
		if _, err := records.CAS(within(t), epochKey(g.size), 0, e.marshal()); err != nil {
			t.Fatal(err)
		}
		if err := g.grow(e); err != nil {
			t.Fatal(err)
		}
	}
	write(epochRecord{entry: kt.Config{Counter: 1}.Marshal()})
	var entries []kt.Entry
	for done := 0; done < n; {
		var updates []kt.Update
		for len(updates) < maxBatch && done < n {
			var u kt.Update
			_, _ = rand.Read(u.Index[:])
			binary.BigEndian.PutUint64(u.Commitment[:], uint64(done))
			updates, done = append(updates, u), done+1
			entries = append(entries, kt.Entry{Index: u.Index, Value: kt.Chain(0, kt.Value{}, u.Commitment)})
		}
		r := kt.Root{Updates: g.updates.End() + uint64(len(updates))}
		if done == n {
			slices.SortFunc(entries, func(a, b kt.Entry) int { return bytes.Compare(a.Index[:], b.Index[:]) })
			m, err := kt.BuildMap(entries)
			if err != nil {
				t.Fatal(err)
			}
			root = m.Root()
			last := clone(g.updates)
			for _, u := range updates {
				if err := appendLeaf(last, u.Marshal()); err != nil {
					t.Fatal(err)
				}
			}
			r.MapRoot, r.UpdatesRoot = root, rootOf(last)
		}
		write(epochRecord{entry: r.Marshal(), updates: updates})
	}
	return root
}

// BenchmarkAnswer is the log's part of a look-up whose hidden name is known.
func BenchmarkAnswer(b *testing.B) {
	l, err := Open(b.Context(), Options{Folder: b.TempDir(), KeysFolder: b.TempDir(), Records: memory.New(), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of a benchmark
	var list []kt.Record
	for i := range 1000 {
		list = append(list, recordOf(fmt.Sprintf("user%d", i), 0))
	}
	if err := l.PublishAll(b.Context(), list); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		reply, err := l.Answer(b.Context(), account.Name(fmt.Sprintf("user%d", b.N%1000)), Asked{})
		if err != nil {
			b.Fatal(err)
		}
		if len(reply.Answer.Marshal()) == 0 {
			b.Fatal("nothing")
		}
	}
}
