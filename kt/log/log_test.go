package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store/memory"
)

// within bounds what a test waits for.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// recordOf is some record of a name.
func recordOf(name string, seq uint64) kt.Record {
	r := kt.Record{Name: account.Name(name), Seq: seq}
	copy(r.Account[:], name)
	copy(r.Head[:], fmt.Sprint(name, seq))
	return r
}

// open opens a log that is closed with the test, or before.
func open(t *testing.T, o Options) *Log {
	t.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Interval == 0 {
		o.Interval = time.Millisecond
	}
	l, err := Open(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { _ = l.Close() }) })
	if err := l.Wait(within(t)); err != nil {
		t.Fatal(err)
	}
	return l
}

// fresh are the options of a log that begins.
func fresh(t *testing.T) Options {
	return Options{Folder: filepath.Join(t.TempDir(), "kt"), KeysFolder: filepath.Join(t.TempDir(), "keys"), Records: memory.New()}
}

func publish(t *testing.T, l *Log, r kt.Record) {
	t.Helper()
	if err := l.Publish(within(t), r); err != nil {
		t.Fatal(err)
	}
}

// proves checks an answer as a device does.
func proves(t *testing.T, l *Log, name string, want *kt.Record, asked Asked, known kt.Known) *kt.Verified {
	t.Helper()
	reply, err := l.Answer(within(t), account.Name(name), asked)
	if err != nil {
		t.Fatal(err)
	}
	if (reply.Record == nil) != (want == nil) || want != nil && *reply.Record != *want {
		t.Fatalf("the log has another record of %s", name)
	}
	parsed, err := kt.ParseAnswer(reply.Answer.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	v, err := l.policy.Verify(parsed, account.Name(name), reply.Record, known, time.Now())
	if err != nil {
		t.Fatalf("the answer about %s: %v", name, err)
	}
	return v
}

func TestWhatIsPublishedIsProved(t *testing.T) {
	l := open(t, fresh(t))
	proves(t, l, "alice", nil, Asked{}, kt.Known{})
	first := recordOf("alice", 0)
	publish(t, l, first)
	v := proves(t, l, "alice", &first, Asked{}, kt.Known{})
	proves(t, l, "bob", nil, Asked{}, kt.Known{})

	var last kt.Record
	for seq := range uint64(4) {
		last = recordOf("alice", seq+1)
		publish(t, l, last)
	}
	publish(t, l, last) // again: nothing new
	known := kt.Known{Size: v.Checkpoint.Size, Root: v.Checkpoint.Root, Label: v.Label}
	w := proves(t, l, "alice", &last, Asked{Size: known.Size, Known: true, Version: v.Label.Version}, known)
	if w.Label.Version != 4 || w.Checkpoint.Size != v.Checkpoint.Size+4 {
		t.Errorf("version %d at size %d, want 4 and %d", w.Label.Version, w.Checkpoint.Size, v.Checkpoint.Size+4)
	}
}

// settled waits until what the log has is published on the disk, in both trees,
// for which Close has no more than a second.
func settled(t *testing.T, l *Log) {
	t.Helper()
	want := l.served.Load().last.Updates
	for ctx := within(t); ; time.Sleep(10 * time.Millisecond) {
		signed, err := l.tiles.updates.signed(ctx)
		if lines := strings.Split(string(signed), "\n"); err == nil && len(lines) > 1 && lines[1] == fmt.Sprint(want) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the checkpoint of %d updates is not published", want)
		}
	}
}

func TestManyAtOnceShareEpochs(t *testing.T) {
	o := fresh(t)
	o.Interval = 500 * time.Millisecond
	l := open(t, o)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			if err := l.Publish(within(t), recordOf(fmt.Sprintf("user%d", i), 0)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r := recordOf("user77", 0)
	v := proves(t, l, "user77", &r, Asked{}, kt.Known{})
	if v.Checkpoint.Size > 100 {
		t.Errorf("%d epochs for 200 names", v.Checkpoint.Size)
	}
	if n := l.served.Load().last.Updates; n != 200 {
		t.Errorf("%d updates of 200 names", n)
	}
}

func TestLogGoesOnAfterARestart(t *testing.T) {
	o := fresh(t)
	l := open(t, o)
	a := recordOf("alice", 0)
	publish(t, l, a)
	v := proves(t, l, "alice", &a, Asked{}, kt.Known{})
	known := kt.Known{Size: v.Checkpoint.Size, Root: v.Checkpoint.Root, Label: v.Label}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, o)
	proves(t, l, "alice", &a, Asked{Size: known.Size, Known: true}, known)
	b := recordOf("bob", 0)
	publish(t, l, b)
	proves(t, l, "bob", &b, Asked{Size: known.Size}, kt.Known{Size: known.Size, Root: known.Root})
}

// Tiles are made anew from the store, and are the same bytes.
func TestTilesFollowFromTheStore(t *testing.T) {
	o := fresh(t)
	l := open(t, o)
	for i := range 5 {
		publish(t, l, recordOf(fmt.Sprintf("user%d", i), 0))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := tileBytes(t, o.Folder)
	for _, folder := range []string{updatesFolder, rootsFolder} {
		if err := os.RemoveAll(filepath.Join(o.Folder, folder)); err != nil {
			t.Fatal(err)
		}
	}
	l = open(t, o)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	after := tileBytes(t, o.Folder)
	for _, name := range []string{"updates/tile/entries/000.p/5", "updates/tile/0/000.p/5", "roots/tile/entries/000.p/7", "roots/tile/0/000.p/7"} {
		if len(before[name]) == 0 || !bytes.Equal(before[name], after[name]) {
			t.Errorf("%s: %d bytes before, %d after", name, len(before[name]), len(after[name]))
		}
	}
}

func tileBytes(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTilesBeyondTheStoreAreRefused(t *testing.T) {
	o := fresh(t)
	l := open(t, o)
	publish(t, l, recordOf("alice", 0))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	older := o
	older.Records = memory.New()
	if _, err := Open(within(t), older); !errors.Is(err, ErrAhead) {
		t.Errorf("an older store under newer tiles: %v", err)
	}
}

func TestLogWithoutItsKeysIsRefused(t *testing.T) {
	o := fresh(t)
	l := open(t, o)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(o.KeysFolder); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(within(t), o); !errors.Is(err, ErrNoKeys) {
		t.Errorf("a log without keys: %v", err)
	}
}

func TestKeysAreTheOwnersAlone(t *testing.T) {
	o := fresh(t)
	l := open(t, o)
	info, err := os.Stat(filepath.Join(o.KeysFolder, keysFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	for _, text := range []string{fmt.Sprintf("%v", l.keys), fmt.Sprintf("%+v", l.keys), fmt.Sprintf("%#v", l.keys)} {
		if bytes.Contains([]byte(text), []byte("PRIVATE")) {
			t.Error("a key prints itself")
		}
	}
}

// Nodes over one store write one log, whoever writes.
func TestTwoNodesWriteOneLog(t *testing.T) {
	records := memory.New()
	shared := func() Options {
		return Options{Folder: filepath.Join(t.TempDir(), "kt"), KeysFolder: filepath.Join(t.TempDir(), "keys"), Records: records, Shared: true}
	}
	nodes := []*Log{open(t, shared()), open(t, shared())}
	if nodes[0].Origin() != nodes[1].Origin() {
		t.Fatal("two logs")
	}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			// Both nodes are asked for each name, as by a client that tries again.
			for j := range nodes {
				if err := nodes[(i+j)%2].Publish(within(t), recordOf(fmt.Sprintf("user%d", i), 0)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for i := range 20 {
		r := recordOf(fmt.Sprintf("user%d", i), 0)
		v := proves(t, nodes[0], string(r.Name), &r, Asked{}, kt.Known{})
		known := kt.Known{Size: v.Checkpoint.Size, Root: v.Checkpoint.Root, Label: v.Label}
		proves(t, nodes[1], string(r.Name), &r, Asked{Size: known.Size, Known: true}, known)
	}
	audit(t, records)
	if n := nodes[0].served.Load().last.Updates; n != 20 {
		t.Errorf("%d updates of 20 names", n)
	}
}

// Whoever has seen a size at one node is never answered with less at another.
func TestNoNodeAnswersWithLessThanIsKnown(t *testing.T) {
	records := memory.New()
	shared := func() Options {
		return Options{Folder: filepath.Join(t.TempDir(), "kt"), KeysFolder: filepath.Join(t.TempDir(), "keys"), Records: records, Shared: true}
	}
	nodes := []*Log{open(t, shared()), open(t, shared())}
	for i := range 12 {
		r := recordOf("alice", uint64(i))
		publish(t, nodes[i%2], r)
		v := proves(t, nodes[i%2], "alice", &r, Asked{}, kt.Known{})
		known := kt.Known{Size: v.Checkpoint.Size, Root: v.Checkpoint.Root, Label: v.Label}
		proves(t, nodes[1-i%2], "alice", &r, Asked{Size: known.Size, Known: true, Version: v.Label.Version}, known)
	}
}
