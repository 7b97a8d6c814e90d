package log

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// A call that others overtook brings an older state of the roster. The log has
// been there, and does not go back: who met the name then would get devices that
// were removed.
func TestLogNeverGoesBackToAnOlderRoster(t *testing.T) {
	l := open(t, fresh(t))
	older, newer := recordOf("alice", 4), recordOf("alice", 5)
	newer.Account = older.Account
	publish(t, l, older)
	publish(t, l, newer)
	publish(t, l, older)
	if v := proves(t, l, "alice", &newer, Asked{}, kt.Known{}); v.Label.Version != 1 {
		t.Errorf("version %d after two states", v.Label.Version)
	}
	gone := newer
	gone.Seq, gone.Head = DeletedSeq, [48]byte{}
	if err := l.Forget(within(t), "alice", newer.Account); err != nil {
		t.Fatal(err)
	}
	publish(t, l, newer)
	proves(t, l, "alice", &gone, Asked{}, kt.Known{})
}

// deaf is a store that a node cannot read at times.
type deaf struct {
	Records
	silent atomic.Bool
}

var errDeaf = errors.New("the store does not answer")

func (d *deaf) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if d.silent.Load() {
		return nil, 0, errDeaf
	}
	return d.Records.Get(ctx, key)
}

func (d *deaf) Scan(ctx context.Context, prefix, after string, most int) ([]store.Entry, error) {
	if d.silent.Load() {
		return nil, errDeaf
	}
	return d.Records.Scan(ctx, prefix, after, most)
}

// A node that cannot look whether others have published more says so. With the
// log as it knows it, it would be taken for a liar who goes back.
func TestNodeThatCannotLookDoesNotAnswerWithLess(t *testing.T) {
	records := memory.New()
	cut := &deaf{Records: records}
	shared := func(r Records) Options {
		return Options{Folder: filepath.Join(t.TempDir(), "kt"), KeysFolder: filepath.Join(t.TempDir(), "keys"), Records: r, Shared: true}
	}
	one, two := open(t, shared(records)), open(t, shared(cut))
	cut.silent.Store(true)
	r := recordOf("alice", 0)
	publish(t, one, r)
	size := proves(t, one, "alice", &r, Asked{}, kt.Known{}).Checkpoint.Size
	if two.served.Load().size >= size {
		t.Fatal("the node has looked before it was cut off")
	}
	if _, err := two.Answer(within(t), "alice", Asked{Size: size}); !errors.Is(err, errDeaf) {
		t.Errorf("an answer of a node that is cut off: %v", err)
	}
	if _, err := two.Head(within(t), size); !errors.Is(err, errDeaf) {
		t.Errorf("a head of a node that is cut off: %v", err)
	}
	if _, err := two.Consistency(within(t), 1, size); !errors.Is(err, errDeaf) {
		t.Errorf("a proof of a node that is cut off: %v", err)
	}
	if _, err := two.History(within(t), "alice", 0, 10); !errors.Is(err, errDeaf) {
		t.Errorf("a history of a node that is cut off: %v", err)
	}
	if _, _, err := two.Epochs(within(t), size); !errors.Is(err, errDeaf) {
		t.Errorf("epochs of a node that is cut off: %v", err)
	}
	cut.silent.Store(false)
	if list, err := two.History(within(t), "alice", 0, 10); err != nil || len(list) != 1 {
		t.Errorf("%d versions of one that another node has published, %v", len(list), err)
	}
	proves(t, two, "alice", &r, Asked{Size: size}, kt.Known{})
}

// What leads from one version of a name to another is found in one pass, however
// long its history.
func TestHistoryOfManyVersions(t *testing.T) {
	label, value := labelRecord{}, kt.Value{}
	for i := range uint32(3000) {
		r := recordOf("alice", uint64(i))
		v := versionRecord{version: i, before: value, commitment: kt.Commit(kt.Opening{byte(i)}, i, r), record: r}
		stray := v
		stray.commitment[0]++
		label = append(label, stray, v)
		value = v.value()
	}
	list, whole := label.since(1, value)
	if !whole || len(list) != 2999 || list[0].version != 1 || list[2998].value() != value {
		t.Fatalf("%d versions, whole %v", len(list), whole)
	}
	if kept := label.without(&label[len(label)-1]); len(kept) != 3000 {
		t.Errorf("%d versions kept of 3000 that count", len(kept))
	}
	if _, whole := label[2:].since(0, value); whole {
		t.Error("a history without its beginning is whole")
	}
}
