package pebble_test

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// numbered is an envelope that says which it is.
func numbered(box store.Box, n uint64) store.Envelope {
	e := store.Envelope{Box: box, Sender: store.Sender{byte(n), byte(n >> 8)}, Data: make([]byte, 1024), At: time.Now()}
	binary.BigEndian.PutUint64(e.ID[:], n)
	return e
}

// Writers go on while checkpoints are made. Each has all that was acked before
// it began, is sound, and opens.
func TestCheckpointsUnderLoad(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := folder{dir: filepath.Join(root, "store")}.Open(t).(*pebble.Store)
	defer s.Close()
	const writers = 8
	var acked [writers]atomic.Uint64
	ctx, end := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for w := range writers {
		box := store.Box{byte(w)}
		must(t, s.Create(t.Context(), box, store.Limits{Envelopes: 1 << 20, Bytes: 1 << 40}))
		load.Go(func() {
			for n := uint64(1); ctx.Err() == nil; n++ {
				if out, err := s.Append(t.Context(), []store.Envelope{numbered(box, n)}); err != nil || out[0].Err != nil {
					t.Errorf("append: %v, %v", out, err)
					return
				}
				acked[w].Store(n)
			}
		})
	}
	for i := range 5 {
		time.Sleep(100 * time.Millisecond)
		var before [writers]uint64
		for w := range writers {
			before[w] = acked[w].Load()
		}
		dir := filepath.Join(root, "copy", string(rune('a'+i)))
		must(t, s.Checkpoint(t.Context(), dir))
		report, err := pebble.Check(t.Context(), dir, pebble.Options{}, nil)
		if err != nil || report.Damaged > 0 {
			t.Errorf("checkpoint %d: %+v, %v", i, report, err)
		}
		again := folder{dir: dir}.Open(t)
		for w := range writers {
			if _, head, err := again.Read(t.Context(), store.Box{byte(w)}, 0, 1<<30, 1<<40); err != nil || head < before[w] {
				t.Errorf("checkpoint %d: mailbox %d has %d of %d acked envelopes, %v", i, w, head, before[w], err)
			}
		}
		must(t, again.Close())
	}
	end()
	load.Wait()
}

// fullDisk has no room for new files in a folder.
type fullDisk struct {
	vfs.FS
	below string
}

func (f fullDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if len(name) > len(f.below) && name[:len(f.below)] == f.below {
		return nil, syscall.ENOSPC
	}
	return f.FS.Create(name, c)
}

// A checkpoint that finds no room fails, and the store goes on.
func TestCheckpointOnAFullDisk(t *testing.T) {
	s := folder{"store", pebble.Options{FS: fullDisk{vfs.NewMem(), "copy"}}}.Open(t).(*pebble.Store)
	defer s.Close()
	must(t, s.Create(t.Context(), store.Box{1}, store.Limits{}))
	if err := s.Checkpoint(t.Context(), "copy"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("checkpoint: %v", err)
	}
	if _, err := s.Append(t.Context(), []store.Envelope{numbered(store.Box{1}, 1)}); err != nil || s.Err() != nil {
		t.Errorf("afterwards: %v, %v", err, s.Err())
	}
}

// noLinks is a file system without hard links.
type noLinks struct{ vfs.FS }

func (noLinks) Link(string, string) error { return syscall.EPERM }

func TestCheckpointWithoutLinks(t *testing.T) {
	fs := noLinks{vfs.NewMem()}
	s := folder{"store", pebble.Options{FS: fs}}.Open(t).(*pebble.Store)
	writeContent(t, s)
	must(t, s.Close())
	s = folder{"store", pebble.Options{FS: fs}}.Open(t).(*pebble.Store)
	must(t, s.Checkpoint(t.Context(), "copy"))
	must(t, s.Close())
	again := folder{"copy", pebble.Options{FS: fs}}.Open(t)
	defer again.Close()
	if wrong, loud := readContent(t, again); wrong != "" || loud {
		t.Errorf("%s, loud: %v", wrong, loud)
	}
}

func TestCheckpointOfAClosedStore(t *testing.T) {
	s := folder{"store", pebble.Options{FS: vfs.NewMem()}}.Open(t).(*pebble.Store)
	must(t, s.Close())
	if err := s.Checkpoint(t.Context(), "copy"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("%v", err)
	}
}
