package postgres_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// ledger is what senders were told.
type ledger struct {
	mu      sync.Mutex
	numbers map[store.Box]map[uint64]store.EnvelopeID
	failed  int // calls whose outcome was unknown, or that were refused
}

func newLedger() *ledger { return &ledger{numbers: make(map[store.Box]map[uint64]store.EnvelopeID)} }

// note adds a promise, and reports a number that was promised twice.
func (l *ledger) note(t *testing.T, box store.Box, seq uint64, id store.EnvelopeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.numbers[box] == nil {
		l.numbers[box] = make(map[uint64]store.EnvelopeID)
	}
	if old, ok := l.numbers[box][seq]; ok && old != id {
		t.Errorf("number %d was given to %x and to %x", seq, old, id)
	}
	l.numbers[box][seq] = id
}

// failures is how many calls failed so far.
func (l *ledger) failures() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *ledger) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.numbers {
		n += len(b)
	}
	return n
}

const crashBoxes = 4

// send appends to random mailboxes until the context ends, each envelope again
// and again with its id until it is taken.
func (l *ledger) send(ctx context.Context, t *testing.T, s store.Store) {
	for ctx.Err() == nil {
		e := store.Envelope{Box: store.Box{byte(1 + rand.IntN(crashBoxes))}, Data: make([]byte, rand.IntN(3000)), At: time.UnixMilli(1e12)}
		binary.BigEndian.PutUint64(e.ID[:], rand.Uint64())
		for ctx.Err() == nil {
			call, cancel := context.WithTimeout(ctx, 10*time.Second)
			out, err := s.Append(call, []store.Envelope{e})
			cancel()
			if err == nil {
				if out[0].Err != nil {
					t.Errorf("append: %v", out[0].Err)
					return
				}
				l.note(t, e.Box, out[0].Seq, e.ID)
				break
			}
			if !errors.Is(err, store.ErrStopped) && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("append: %v, want ErrStopped", err)
				return
			}
			l.mu.Lock()
			l.failed++
			l.mu.Unlock()
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// check holds a store against what senders were told: every number is there
// with its envelope, none is missing and no envelope is there twice.
func (l *ledger) check(t *testing.T, s store.Store) {
	t.Helper()
	for i := range byte(crashBoxes) {
		box := store.Box{i + 1}
		msgs, head, err := s.Read(t.Context(), box, 0, 1<<30, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if uint64(len(msgs)) != head {
			t.Errorf("%d envelopes up to number %d", len(msgs), head)
		}
		ids := make(map[store.EnvelopeID]bool)
		for i, m := range msgs {
			if m.Seq != uint64(i+1) {
				t.Fatalf("number %d at place %d", m.Seq, i+1)
			}
			if ids[m.ID] {
				t.Errorf("envelope %x is stored twice", m.ID)
			}
			ids[m.ID] = true
		}
		for seq, id := range l.numbers[box] {
			if seq > head || msgs[seq-1].ID != id {
				t.Errorf("number %d was promised to be %x and is lost", seq, id)
			}
		}
	}
}

func createBoxes(t *testing.T, s store.Store) {
	t.Helper()
	for i := range byte(crashBoxes) {
		if err := s.Create(t.Context(), store.Box{i + 1}, store.Limits{Envelopes: 1 << 30, Bytes: 1 << 50}); err != nil {
			t.Fatal(err)
		}
	}
}

// under runs writers on a store while f does something to the database.
func (l *ledger) under(t *testing.T, s store.Store, f func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { l.send(ctx, t, s) })
	}
	f()
	cancel()
	wg.Wait()
}

// The database is killed again and again in the midst of appends. The store
// stays open, goes on when it is back, and nothing that was acknowledged is
// lost. It is attack A38 at the store.
func TestKilledDatabase(t *testing.T) {
	t.Parallel()
	c := pgtest.New(t)
	s := opened(t, c.URL("postgres"), postgres.Options{})
	createBoxes(t, s)
	l := newLedger()
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	l.under(t, s, func() {
		for range rounds {
			before := l.count()
			eventually(t, "appends go on", func() bool { return l.count() > before+20 })
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			c.Kill()
			eventually(t, "the store says that it is stopped", func() bool { return errors.Is(s.Err(), store.ErrStopped) })
			c.Start(t)
		}
		before := l.count()
		eventually(t, "appends go on", func() bool { return l.count() > before+20 && s.Err() == nil })
	})
	if l.failed == 0 {
		t.Error("no append failed, so the kills hit nothing")
	}
	t.Logf("%d acknowledged, %d calls failed over %d kills", l.count(), l.failed, rounds)
	l.check(t, s)
}

// Connections break in the midst of commits while the database lives: those
// calls fail with an unknown outcome, and their repeats are exact.
func TestBrokenConnections(t *testing.T) {
	url := pgtest.Database(t)
	s := opened(t, url, postgres.Options{})
	createBoxes(t, s)
	l := newLedger()
	l.under(t, s, func() {
		for n := 0; n < 60 || l.failures() == 0 && n < 2000; n++ {
			pgtest.Exec(t, url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		}
		before := l.count()
		eventually(t, "appends go on", func() bool { return l.count() > before+20 })
	})
	if l.failed == 0 {
		t.Error("no append failed, so nothing was broken")
	}
	t.Logf("%d acknowledged, %d calls failed", l.count(), l.failed)
	l.check(t, s)
}

// A primary with a synchronous standby is killed under load and the standby is
// promoted. The store goes on with it, and refuses the old primary when that
// comes back.
func TestPromotedStandbyV120(t *testing.T) {
	t.Parallel()
	primary := pgtest.New(t)
	standby := primary.Standby(t, "second")
	primary.Exec(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (second)'")
	primary.Exec(t, "postgres", "SELECT pg_reload_conf()")
	both := "postgres:///postgres?user=posthorn&host=" + primary.Folder() + "," + standby.Folder() + "&port=5432,5432"
	seen := t.TempDir() + "/seen.json"
	s := opened(t, both, postgres.Options{SeenFile: seen})
	createBoxes(t, s)
	l := newLedger()
	l.under(t, s, func() {
		eventually(t, "appends go on", func() bool { return l.count() > 50 })
		primary.Kill()
		standby.Exec(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = ''")
		standby.Promote(t)
		standby.Exec(t, "postgres", "SELECT pg_reload_conf()")
		before := l.count()
		eventually(t, "appends go on at the new primary", func() bool { return l.count() > before+50 })
	})
	t.Logf("%d acknowledged, %d calls failed", l.count(), l.failed)
	l.check(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	primary.Start(t)
	refused(t, primary.URL("postgres"), postgres.Options{SeenFile: seen}, postgres.ErrStale, "timeline 1, and 2 was seen")
	s = opened(t, both, postgres.Options{SeenFile: seen}) // the old one is first in the URL
	l.check(t, s)
}

// A standby alone is refused, and nothing else happens to it.
func TestStandbyIsRefusedV120(t *testing.T) {
	t.Parallel()
	primary := pgtest.New(t)
	s := opened(t, primary.URL("postgres"), postgres.Options{})
	createBoxes(t, s)
	standby := primary.Standby(t, "second")
	refused(t, standby.URL("postgres"), postgres.Options{}, postgres.ErrStale, "it is a standby")
}

// While the only standby of a quorum is away, appends do not return, and what
// they wrote is not seen; when it is back they go through.
func TestNoQuorumNoAck(t *testing.T) {
	t.Parallel()
	primary := pgtest.New(t)
	standby := primary.Standby(t, "second")
	before := database{primary.URL("postgres"), postgres.Options{}}.Open(t) // with the patience that a busy machine needs
	createBoxes(t, before)
	primary.Exec(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (second)'")
	primary.Exec(t, "postgres", "SELECT pg_reload_conf()")
	e := store.Envelope{Box: store.Box{1}, ID: store.EnvelopeID{1}, Data: []byte("x"), At: time.UnixMilli(1e12)}
	if _, err := before.Append(t.Context(), []store.Envelope{e}); err != nil {
		t.Fatal(err)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	s := opened(t, primary.URL("postgres"), postgres.Options{Patience: 5 * time.Second})
	standby.Stop(t)
	e.ID = store.EnvelopeID{2}
	for range 2 { // the second waits for the lock that the first still holds
		if out, err := s.Append(t.Context(), []store.Envelope{e}); !errors.Is(err, store.ErrStopped) {
			t.Errorf("without a quorum: %v, %v", out, err)
		}
	}
	if msgs, head, err := s.Read(t.Context(), store.Box{1}, 0, 9, 9); err != nil || head != 1 || len(msgs) != 1 {
		t.Errorf("read: %d envelopes, head %d, %v; want the confirmed one alone", len(msgs), head, err)
	}
	standby.Start(t)
	eventually(t, "the repeat is answered", func() bool {
		out, err := s.Append(t.Context(), []store.Envelope{e})
		return err == nil && out[0].Seq == 2 && out[0].Repeat
	})
	if _, head, err := s.Read(t.Context(), store.Box{1}, 0, 9, 9); err != nil || head != 2 {
		t.Errorf("head %d, %v; want 2: the envelope is stored once", head, err)
	}
}
