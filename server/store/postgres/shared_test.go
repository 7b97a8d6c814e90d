package postgres_test

import (
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// Three stores on one database append to the same mailboxes, many at once and
// in calls over several of them, while a fourth one acks. Numbers stay without
// a gap, each is given once, and nobody waits for a deadlock to end.
func TestSeveralStoresOnOneDatabase(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	var stores []store.Store
	for range 4 {
		stores = append(stores, opened(t, url, postgres.Options{AckDelay: 5 * time.Millisecond}))
	}
	createBoxes(t, stores[0])
	l := newLedger()
	var wg sync.WaitGroup
	for n, s := range stores[:3] {
		for w := range 6 {
			wg.Go(func() { l.sendEverywhere(t, s, uint64(n*6+w)) })
		}
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	acked := ackAll(t, stores[3], done)
	for box, seqs := range l.numbers {
		head := uint64(len(seqs))
		for seq := uint64(1); seq <= head; seq++ {
			if _, ok := seqs[seq]; !ok {
				t.Fatalf("number %d of %d was given to nobody", seq, head)
			}
		}
		if acked[box] > head {
			t.Errorf("acked up to %d of %d", acked[box], head)
		}
	}
	if l.count() != 3*6*30*crashBoxes {
		t.Errorf("%d numbers given", l.count())
	}
	time.Sleep(1100 * time.Millisecond) // the database counts once a second
	if n := deadlocks(t, url); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// sendEverywhere makes calls with one envelope for each mailbox.
func (l *ledger) sendEverywhere(t *testing.T, s store.Store, writer uint64) {
	for i := range uint64(30) {
		var envs []store.Envelope
		for b := range byte(crashBoxes) {
			e := store.Envelope{Box: store.Box{b + 1}, Sender: store.Sender{byte(writer)}, Data: make([]byte, 100), At: time.UnixMilli(1e12)}
			binary.BigEndian.PutUint64(e.ID[:], writer<<32|i)
			envs = append(envs, e)
		}
		out, err := s.Append(t.Context(), envs)
		if err != nil {
			t.Errorf("append: %v", err)
			return
		}
		for j, a := range out {
			if a.Err != nil || a.Repeat {
				t.Errorf("append: %+v", a)
			}
			l.note(t, envs[j].Box, a.Seq, envs[j].ID)
		}
	}
}

// ackAll reads and acks until the writers are done, and checks that what it
// reads has no gap.
func ackAll(t *testing.T, s store.Store, done <-chan struct{}) map[store.Box]uint64 {
	acked := make(map[store.Box]uint64)
	for {
		for b := range byte(crashBoxes) {
			box := store.Box{b + 1}
			msgs, _, err := s.Read(t.Context(), box, acked[box], 50, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range msgs {
				if acked[box]++; m.Seq != acked[box] {
					t.Fatalf("read number %d, want %d", m.Seq, acked[box])
				}
			}
			if err := s.Ack(t.Context(), []store.BoxSeq{{Box: box, Seq: acked[box]}}); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-done:
			return acked
		default:
		}
	}
}

// A sender that fills a mailbox through two stores gets one quarter, not two.
func TestOneShareOverSeveralStores(t *testing.T) {
	url := pgtest.Database(t)
	a, b := opened(t, url, postgres.Options{}), opened(t, url, postgres.Options{})
	if err := a.Create(t.Context(), store.Box{1}, store.Limits{Envelopes: 40}); err != nil {
		t.Fatal(err)
	}
	stored := 0
	for i := range 30 {
		s := []store.Store{a, b}[i%2]
		out, err := s.Append(t.Context(), []store.Envelope{{Box: store.Box{1}, ID: store.EnvelopeID{byte(i)}, At: time.UnixMilli(1)}})
		if err != nil {
			t.Fatal(err)
		}
		if out[0].Err == nil {
			stored++
		} else if !errors.Is(out[0].Err, store.ErrFull) {
			t.Fatal(out[0].Err)
		}
	}
	if stored != 10 {
		t.Errorf("%d of 40 stored by one sender, want 10", stored)
	}
}

// Presence that one store has written is what another one answers, until the
// first one is closed.
func TestPresenceOverSeveralStores(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	a, b := database{url: url}.Open(t), opened(t, url, postgres.Options{})
	box := store.Box{1}
	if err := a.Create(t.Context(), box, store.Limits{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Attach(t.Context(), box, "first"); err != nil {
		t.Fatal(err)
	}
	id := byte(0)
	node := func() string {
		id++
		out, err := b.Append(t.Context(), []store.Envelope{{Box: box, ID: store.EnvelopeID{id}, At: time.UnixMilli(1)}})
		if err != nil {
			t.Fatal(err)
		}
		return out[0].Node
	}
	eventually(t, "the other store knows where it is read", func() bool { return node() == "first" })
	if err := b.Detach(t.Context(), box, "first"); err != nil {
		t.Fatal(err)
	}
	if got := node(); got != "first" {
		t.Errorf("detached by another process: %q", got)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a store that has closed is forgotten", func() bool { return node() == "" })
}

// deadlocks is how many the database has broken up.
func deadlocks(t *testing.T, url string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
