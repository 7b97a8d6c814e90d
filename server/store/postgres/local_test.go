package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// standbys says which standbys a primary waits for.
func standbys(t *testing.T, c *pgtest.Cluster, names string) {
	t.Helper()
	c.Exec(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = '"+names+"'")
	c.Exec(t, "postgres", "SELECT pg_reload_conf()")
}

// A primary without its standbys confirms nothing. Writes are refused once one
// has waited for too long, at once and without leaving more connections behind;
// reads, presence, acks and notes go on, also of the mailbox that the waiting
// write has locked. When a standby is back so is everything, and nothing was
// confirmed that was not safe.
func TestWithoutAnyStandby(t *testing.T) {
	t.Parallel()
	c := pgtest.New(t)
	s := opened(t, c.URL("postgres"), postgres.Options{Patience: 5 * time.Second})
	box, other := store.Box{1}, store.Box{2}
	for _, b := range []store.Box{box, other} {
		must(t, s.Create(t.Context(), b, store.Limits{}))
	}
	before := store.Envelope{Box: other, ID: store.EnvelopeID{1}, At: time.UnixMilli(1), Data: []byte("before")}
	if _, err := s.Append(t.Context(), []store.Envelope{before}); err != nil {
		t.Fatal(err)
	}
	standbys(t, c, "ANY 1 (nobody)")
	waiting, confirmed := store.Envelope{Box: box, At: time.UnixMilli(1), Data: []byte("waits")}, 0
	for waits := false; !waits; {
		_, err := s.Append(t.Context(), []store.Envelope{waiting})
		switch {
		case err == nil: // the database has not read its settings yet
			confirmed++
			waiting.ID[0]++
		case !errors.Is(err, postgres.ErrUnknown) && !errors.Is(err, postgres.ErrUnconfirmed):
			t.Fatal(err)
		default: // it waits for a standby, or the machine is slow
			waits = number(t, c.URL("postgres"), `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`) > 0
		}
	}
	refusedWrites(t, s, box)
	servedWithout(t, s, box, other, confirmed)

	standbys(t, c, "")
	eventually(t, "it takes writes again", func() bool { return s.Err() == nil })
	out, err := s.Append(t.Context(), []store.Envelope{waiting})
	if err != nil || out[0].Err != nil || out[0].Seq != uint64(confirmed)+1 {
		t.Errorf("the envelope that waited, again: %+v, %v", out, err)
	}
	if _, ver, err := s.Get(t.Context(), "noted"); err != nil || ver != 2 {
		t.Errorf("what was noted meanwhile is at version %d, %v", ver, err)
	}
}

// refusedWrites wants every write to be refused without waiting.
func refusedWrites(t *testing.T, s store.Store, box store.Box) {
	t.Helper()
	for name, write := range map[string]func() error{
		"append": func() error {
			_, err := s.Append(t.Context(), []store.Envelope{{Box: box, ID: store.EnvelopeID{9}}})
			return err
		},
		"create": func() error { return s.Create(t.Context(), store.Box{3}, store.Limits{}) },
		"drop":   func() error { return s.Drop(t.Context(), box) },
		"cas":    func() error { _, err := s.CAS(t.Context(), "key", 0, nil); return err },
		"put":    func() error { return s.Put(t.Context(), "pool", []byte("a")) },
		"take":   func() error { _, err := s.Take(t.Context(), "pool"); return err },
		"clear":  func() error { return s.ClearExpired(t.Context(), box, 1) },
		"sweep":  func() error { _, _, err := s.Sweep(t.Context(), time.UnixMilli(9), 9); return err },
	} {
		for range 20 {
			if err := write(); !errors.Is(err, postgres.ErrUnconfirmed) || !errors.Is(err, store.ErrStopped) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := s.Err(); !errors.Is(err, store.ErrStopped) || !errors.Is(err, store.ErrPassing) {
		t.Errorf("the store says of itself: %v", err)
	}
}

// servedWithout wants everything that needs no standby to work. A write that
// waits has locked box.
func servedWithout(t *testing.T, s store.Store, box, other store.Box, confirmed int) {
	t.Helper()
	if msgs, _, err := s.Read(t.Context(), box, 0, 1e6, 1e9); err != nil || len(msgs) != confirmed {
		t.Errorf("what is not confirmed is read: %+v, %v", msgs, err)
	}
	if msgs, _, err := s.Read(t.Context(), other, 0, 9, 999); err != nil || len(msgs) != 1 {
		t.Errorf("what was confirmed before: %+v, %v", msgs, err)
	}
	must(t, s.Attach(t.Context(), other, "node"))
	must(t, s.Detach(t.Context(), other, "node"))
	if err := s.Attach(t.Context(), box, "node"); !errors.Is(err, postgres.ErrUnconfirmed) {
		t.Errorf("attach where a write waits: %v", err)
	}
	for want := range uint64(2) {
		if ver, err := s.Note(t.Context(), "noted", want, []byte("val")); err != nil || ver != want+1 {
			t.Errorf("note: %d, %v", ver, err)
		}
	}
	if ver, err := s.Note(t.Context(), "noted", 0, nil); !errors.Is(err, store.ErrVersion) || ver != 2 {
		t.Errorf("a stale note: %d, %v", ver, err)
	}
	must(t, s.Ack(t.Context(), []store.BoxSeq{{Box: other, Seq: 1}}))
	if msgs, _, err := s.Read(t.Context(), other, 0, 9, 999); err != nil || len(msgs) != 0 {
		t.Errorf("after the ack: %+v, %v", msgs, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
