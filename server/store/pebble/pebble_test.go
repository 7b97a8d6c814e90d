package pebble_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
	"github.com/posthorn/posthorn/server/store/storetest"
)

// folder opens one directory again and again.
type folder struct {
	dir     string
	options pebble.Options
}

func (f folder) Open(t *testing.T) store.Store {
	t.Helper()
	s, err := pebble.Open(f.dir, f.options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Opener { return folder{dir: t.TempDir()} })
}

// With room for three heads every mailbox is forgotten and read again all the
// time, and acks are applied in the midst of everything.
func TestContractWithTinyCache(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Opener {
		return folder{"store", pebble.Options{FS: vfs.NewMem(), Heads: 3, AckDelay: time.Millisecond}}
	})
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := folder{dir: dir}.Open(t)
	defer s.Close()
	if again, err := pebble.Open(dir, pebble.Options{}); err == nil {
		t.Error("two stores on one folder", again.Close())
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := folder{"store", pebble.Options{FS: fs}}.Open(t)
	if err := pebble.SetFormat(s.(*pebble.Store), 4); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := pebble.Open("store", pebble.Options{FS: fs}); !errors.Is(err, store.ErrFormat) {
			t.Errorf("open: %v, want ErrFormat", err)
		}
	}
}
