package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// slowLog holds every sync of the log while it is locked.
type slowLog struct {
	sync.RWMutex
	held atomic.Int64 // syncs that it has met
}

// holds waits until one more sync is met after n.
func (l *slowLog) holds(t *testing.T, n int64) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); l.held.Load() == n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing reaches the log")
		}
	}
}

func (l *slowLog) String() string { return "slow log" }

func (l *slowLog) MaybeError(op errorfs.Op) error {
	if isSync(op.Kind) && strings.HasSuffix(op.Path, ".log") {
		l.held.Add(1)
		l.RLock()
		defer l.RUnlock()
	}
	return nil
}

func isSync(k errorfs.OpKind) bool {
	return k == errorfs.OpFileSync || k == errorfs.OpFileSyncData || k == errorfs.OpFileSyncTo
}

// What a power cut could still take away must not be seen by anybody: not an
// envelope, not even after its mailbox fell out of the cache, and not a value.
func TestNothingIsSeenBeforeItIsDurable(t *testing.T) {
	log := &slowLog{}
	s := folder{"store", pebble.Options{FS: errorfs.Wrap(vfs.NewMem(), log), Heads: 2}}.Open(t)
	defer s.Close()
	for i := range byte(30) {
		must(t, s.Create(t.Context(), store.Box{i}, store.Limits{}))
	}
	box := store.Box{0}
	log.Lock()
	met := log.held.Load()
	appended, got := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Append(t.Context(), []store.Envelope{{Box: box, At: time.UnixMilli(1)}})
		appended <- err
	}()
	log.holds(t, met)
	for i := range byte(30) {
		if msgs, head, err := s.Read(t.Context(), store.Box{29 - i}, 0, 9, 9); len(msgs) != 0 || head != 0 || err != nil {
			t.Errorf("read %d envelopes, head %d, %v before the sync", len(msgs), head, err)
		}
	}
	select {
	case <-appended:
		t.Error("append returned before the sync")
	default:
	}
	log.Unlock()
	must(t, <-appended)
	log.Lock()
	met = log.held.Load()
	go func() {
		_, err := s.CAS(t.Context(), "key", 0, []byte("v"))
		got <- err
	}()
	log.holds(t, met)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if val, ver, err := s.Get(ctx, "key"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("get before the sync: %q at version %d, %v", val, ver, err)
	}
	log.Unlock()
	must(t, <-got)
	if _, ver, err := s.Get(t.Context(), "key"); ver != 1 || err != nil {
		t.Errorf("get after the sync: version %d, %v", ver, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fault fails one kind of operation on one kind of file once it is on.
type fault struct {
	errorfs.Toggle
	name string
}

func newFault(name string, cause error, kinds ...errorfs.OpKind) *fault {
	base, _, _ := strings.Cut(name, " ")
	f := &fault{name: name}
	f.Injector = errorfs.InjectorFunc(func(op errorfs.Op) error {
		for _, k := range kinds {
			if k == op.Kind && strings.Contains(op.Path, base) {
				return cause
			}
		}
		return nil
	})
	return f
}

func faults() []*fault {
	const (
		create = errorfs.OpCreate
		reuse  = errorfs.OpReuseForWrite
		write  = errorfs.OpFileWrite
	)
	syncs := []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	var all []*fault
	for _, file := range []string{".log", ".sst", "MANIFEST"} {
		all = append(all,
			newFault(file+" sync EIO", syscall.EIO, syncs...),
			newFault(file+" write EIO", syscall.EIO, write),
			newFault(file+" write ENOSPC", syscall.ENOSPC, write))
	}
	return append(all,
		newFault(".log create ENOSPC", syscall.ENOSPC, create, reuse),
		newFault(".sst create ENOSPC", syscall.ENOSPC, create),
		newFault("store sync EIO", syscall.EIO, syncs...))
}

// Whatever the disk refuses: the store stops, says so, goes on reading, and
// loses nothing that it had accepted. Attack A38, the disk's side.
func TestDiskFaults(t *testing.T) {
	t.Parallel()
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			s := folder{"store", pebble.Options{FS: errorfs.Wrap(mem, f)}}.Open(t)
			box := store.Box{1}
			must(t, s.Create(t.Context(), box, store.Limits{Envelopes: 1 << 20, Bytes: 1 << 40}))
			_, err := s.CAS(t.Context(), "key", 0, []byte("v"))
			must(t, err)
			n := appendSome(t, s, box, 20)
			f.On()
			n += appendUntilStopped(t, s, box)
			refuses(t, s, box)
			reads(t, s, box, n)
			if err := s.Close(); !errors.Is(err, store.ErrStopped) {
				t.Errorf("close: %v, want ErrStopped", err)
			}
			f.Off()
			for _, fs := range []*vfs.MemFS{mem.CrashClone(vfs.CrashCloneCfg{}), mem} {
				again := folder{"store", pebble.Options{FS: fs}}.Open(t)
				reads(t, again, box, n)
				appendSome(t, again, box, 3)
				must(t, again.Close())
			}
		})
	}
}

const large = 128 << 10

func one(t *testing.T, s store.Store, box store.Box, i int) error {
	t.Helper()
	e := store.Envelope{Box: box, Data: make([]byte, large), At: time.UnixMilli(1)}
	copy(e.ID[:], fmt.Sprint(i, t.Name()))
	copy(e.Sender[:], fmt.Sprint(i))
	out, err := s.Append(t.Context(), []store.Envelope{e})
	if err == nil {
		err = out[0].Err
	}
	return err
}

func appendSome(t *testing.T, s store.Store, box store.Box, n int) int {
	t.Helper()
	for i := range n {
		must(t, one(t, s, box, i))
	}
	return n
}

// appendUntilStopped writes enough to turn over logs and tables several times.
func appendUntilStopped(t *testing.T, s store.Store, box store.Box) int {
	t.Helper()
	for i := range 2000 {
		if err := one(t, s, box, 1000+i); errors.Is(err, store.ErrStopped) {
			return i
		} else if err != nil {
			t.Fatalf("append %d: %v, want ErrStopped", i, err)
		}
	}
	t.Fatal("250 MiB went in although the disk refuses writes")
	return 0
}

func refuses(t *testing.T, s store.Store, box store.Box) {
	t.Helper()
	_, casErr := s.CAS(t.Context(), "key", 1, nil)
	_, takeErr := s.Take(t.Context(), "pool")
	for _, err := range []error{
		s.Err(), casErr, takeErr, one(t, s, box, 1), s.Drop(t.Context(), box),
		s.Create(t.Context(), store.Box{9}, store.Limits{}), s.Ack(t.Context(), []store.BoxSeq{{Box: box, Seq: 1}}),
	} {
		if !errors.Is(err, store.ErrStopped) {
			t.Errorf("after the fault: %v, want ErrStopped", err)
		}
	}
}

// reads checks that at least n envelopes are there, and the value.
func reads(t *testing.T, s store.Store, box store.Box, n int) {
	t.Helper()
	total := uint64(0)
	for {
		msgs, _, err := s.Read(t.Context(), box, total, 50, 1<<30)
		must(t, err)
		if len(msgs) == 0 {
			break
		}
		total = msgs[len(msgs)-1].Seq
	}
	if total < uint64(n) {
		t.Errorf("%d envelopes can be read, %d were accepted", total, n)
	}
	if val, ver, err := s.Get(t.Context(), "key"); string(val) != "v" || ver != 1 || err != nil {
		t.Errorf("value %q at version %d, %v", val, ver, err)
	}
}
