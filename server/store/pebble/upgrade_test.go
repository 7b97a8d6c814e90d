package pebble_test

import (
	"slices"
	"strings"
	"testing"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// filled makes a store with one envelope, changes it and closes it.
func filled(t *testing.T, fs vfs.FS, change func(*pebble.Store) error) {
	t.Helper()
	s := folder{"store", pebble.Options{FS: fs}}.Open(t)
	if err := s.Create(t.Context(), store.Box{1}, store.Limits{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), []store.Envelope{{Box: store.Box{1}, Data: []byte("text")}}); err != nil {
		t.Fatal(err)
	}
	if err := change(s.(*pebble.Store)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// holds wants the envelope of filled in a store.
func holds(t *testing.T, fs vfs.FS, dir string) {
	t.Helper()
	s := folder{dir, pebble.Options{FS: fs}}.Open(t)
	defer s.Close()
	msgs, _, err := s.Read(t.Context(), store.Box{1}, 0, 9, 9)
	if err != nil || len(msgs) != 1 || string(msgs[0].Data) != "text" {
		t.Errorf("%s: %v, %v", dir, msgs, err)
	}
}

// copies lists what lies beside the store.
func copies(t *testing.T, fs vfs.FS) (names []string) {
	t.Helper()
	all, err := fs.List("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if strings.HasPrefix(name, "store.") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestUpgradeOfTheFormatLeavesACopy(t *testing.T) {
	for version, older := range map[string]func(*pebble.Store) error{
		"\x00\x00\x00\x01": pebble.Uncount,
		"\x00\x00\x00\x02": pebble.Tailless,
	} {
		fs := vfs.NewMem()
		filled(t, fs, older)
		holds(t, fs, "store")
		if got := copies(t, fs); !slices.Equal(got, []string{"store.before-format-3"}) {
			t.Fatalf("beside the store: %q", got)
		}
		if v := formatOf(t, fs, "store.before-format-3"); v != version {
			t.Errorf("the copy has format %x", v)
		}
		if v := formatOf(t, fs, "store"); v != "\x00\x00\x00\x03" {
			t.Errorf("the store has format %x", v)
		}
		holds(t, fs, "store")
		if got := copies(t, fs); len(got) != 1 {
			t.Errorf("another copy without an upgrade: %q", got)
		}
		holds(t, fs, "store.before-format-3") // it opens like any old store
	}
}

// To a program of the older format a tail would be envelopes too many, so the
// check knows none in a store that is marked with it.
func TestOlderFormatHasNoTails(t *testing.T) {
	fs := vfs.NewMem()
	filled(t, fs, func(s *pebble.Store) error { return pebble.SetFormat(s, 2) })
	report, err := pebble.Check(t.Context(), "store", pebble.Options{FS: fs}, nil)
	if err != nil || report.Damaged == 0 || !strings.Contains(report.Problems[0], "too many") {
		t.Errorf("%v, %+v", err, report)
	}
}

// formatOf reads the format version of a store without opening it as one.
func formatOf(t *testing.T, fs vfs.FS, dir string) string {
	t.Helper()
	db, err := engine.Open(dir, &engine.Options{FS: fs, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	val, closer, err := db.Get([]byte("f"))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	return string(val)
}

// A store whose files the engine of an older program wrote.
func TestUpgradeOfTheEngineLeavesACopy(t *testing.T) {
	fs := vfs.NewMem()
	filled(t, fs, func(*pebble.Store) error { return nil })
	old := engine.FormatFlushableIngest
	rewrite(t, fs, old)
	holds(t, fs, "store")
	got := copies(t, fs)
	if len(got) != 1 || !strings.HasPrefix(got[0], "store.before-engine-") {
		t.Fatalf("beside the store: %q", got)
	}
	if found, err := engine.Peek(got[0], fs); err != nil || found.FormatMajorVersion != old {
		t.Errorf("the copy: %+v, %v", found, err)
	}
	if found, err := engine.Peek("store", fs); err != nil || found.FormatMajorVersion <= old {
		t.Errorf("the store: %+v, %v", found, err)
	}
}

// rewrite makes a store anew, record for record, in an older engine format.
func rewrite(t *testing.T, fs vfs.FS, version engine.FormatMajorVersion) {
	t.Helper()
	from, err := engine.Open("store", &engine.Options{FS: fs, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	to, err := engine.Open("older", &engine.Options{FS: fs, FormatMajorVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	it, err := from.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := to.Set(it.Key(), it.Value(), engine.Sync); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{it.Close(), from.Close(), to.Close(), fs.RemoveAll("store"), fs.Rename("older", "store")} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Without room for a copy nothing is upgraded.
func TestNoUpgradeWithoutACopy(t *testing.T) {
	fs := vfs.NewMem()
	filled(t, fs, pebble.Uncount)
	if s, err := pebble.Open("store", pebble.Options{FS: noCopies{fs}}); err == nil || !strings.Contains(err.Error(), "not upgraded") {
		t.Fatal("it opens", err, s.Close())
	}
	if v := formatOf(t, fs, "store"); v != "\x00\x00\x00\x01" {
		t.Errorf("the store has format %x", v)
	}
	holds(t, fs, "store")
}

// noCopies is a file system on which no copy can be finished.
type noCopies struct{ vfs.FS }

func (n noCopies) Rename(from, to string) error {
	if strings.Contains(to, ".before-") {
		return vfs.ErrUnsupported
	}
	return n.FS.Rename(from, to)
}
