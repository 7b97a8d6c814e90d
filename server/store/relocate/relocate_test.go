package relocate_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
	"github.com/posthorn/posthorn/server/store/pebble"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
	"github.com/posthorn/posthorn/server/store/relocate"
	"github.com/posthorn/posthorn/server/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// opener reopens one memory store again and again, with a Store before it.
type opener struct{ last *memory.Store }

func (o *opener) Open(*testing.T) store.Store {
	o.last = o.last.Reopen()
	return relocate.New(o.last)
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Opener { return &opener{memory.New()} })
}

var at = time.UnixMilli(1_700_000_000_000).UTC()

func envelope(box, sender byte, id uint64, size int) store.Envelope {
	e := store.Envelope{Box: store.Box{box}, Sender: store.Sender{sender}, Data: make([]byte, size), At: at}
	binary.BigEndian.PutUint64(e.ID[:], id)
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill leaves some of everything in a store: envelopes of all sizes, acked
// ones, expired ones, a full mailbox, a dropped one, values and pools.
func fill(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	for box := range byte(5) {
		must(t, s.Create(ctx, store.Box{box}, store.Limits{Envelopes: 40 * uint32(box), Bytes: 1 << 20 * uint64(box)}))
		for i := range 30 {
			e := envelope(box, byte(i), uint64(i), i*i*10)
			e.At = at.Add(time.Duration(i) * time.Minute)
			if out, err := s.Append(ctx, []store.Envelope{e}); err != nil || out[0].Err != nil {
				t.Fatal(out, err)
			}
		}
	}
	must(t, s.Drop(ctx, store.Box{3}))
	_, _, err := s.Sweep(ctx, at.Add(5*time.Minute), 1<<20)
	must(t, err)
	must(t, s.Ack(ctx, []store.BoxSeq{{Box: store.Box{1}, Seq: 12}, {Box: store.Box{2}, Seq: 30}}))
	for i := range 7 {
		for ver := range uint64(i + 1) {
			_, err := s.CAS(ctx, fmt.Sprintf("key\x00%d", i), ver, make([]byte, i*100))
			must(t, err)
		}
		must(t, s.Put(ctx, fmt.Sprint("pool", i*i*i), []byte("a"), []byte{}, []byte{byte(i)}))
		_, err := s.Take(ctx, fmt.Sprint("pool", i*i*i))
		must(t, err)
	}
}

func embedded(t *testing.T) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(t.TempDir(), pebble.Options{})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func target(t *testing.T, url, id string) *postgres.Store {
	t.Helper()
	s, err := postgres.OpenTarget(t.Context(), url, id, postgres.Options{})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// into copies to a database, as a server does that is moved.
func into(to *postgres.Store) func(context.Context, store.Store) (store.Store, error) {
	return func(ctx context.Context, from store.Store) (store.Store, error) {
		if _, err := relocate.Copy(ctx, from.(relocate.Source), to, to.Load(ctx)); err != nil {
			return nil, err
		}
		return to, to.Finish(ctx)
	}
}

func TestEverythingArrives(t *testing.T) {
	from := embedded(t)
	fill(t, from)
	url := pgtest.Database(t)
	to := target(t, url, "move")
	sum, err := relocate.Copy(t.Context(), from, to, to.Load(t.Context()))
	must(t, err)
	if sum.Mailboxes != 4 || sum.Dropped != 1 || sum.Envelopes != 25+18+0+25 || sum.Values != 7 || sum.Pooled != 14 {
		t.Errorf("%+v", sum)
	}
	sameAnswers(t, from, to)
	must(t, to.Finish(t.Context()))
	must(t, to.Close())
	s, err := postgres.Open(t.Context(), url, postgres.Options{})
	must(t, err)
	defer s.Close()
	sameAnswers(t, from, s)
}

// sameAnswers asks two stores for everything that fill has left.
func sameAnswers(t *testing.T, a, b store.Store) {
	t.Helper()
	ctx := t.Context()
	ask := func(s store.Store) (answers []string) {
		say := func(v ...any) { answers = append(answers, fmt.Sprint(v...)) }
		for box := range byte(6) {
			msgs, head, err := s.Read(ctx, store.Box{box}, 0, 1<<30, 1<<30)
			say(box, msgs, head, errors.Is(err, store.ErrGone), errors.Is(err, store.ErrNoBox))
		}
		entries, err := s.Scan(ctx, "", "", 1<<20)
		say(entries, err)
		stats, err := s.Stats(ctx)
		say(stats.Mailboxes, err)
		return answers
	}
	want, got := ask(a), ask(b)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("answer %d:\n got %.300s\nwant %.300s", i, got[i], want[i])
		}
	}
}

// The limits, the count of expired ones and the order of pools go along.
func TestMovedStoreGoesOn(t *testing.T) {
	s := relocate.New(embedded(t))
	fill(t, s)
	ctx := t.Context()
	must(t, s.Attach(ctx, store.Box{1}, "here"))
	old, err := s.Move(ctx, into(target(t, pgtest.Database(t), "move")))
	must(t, err)
	must(t, old.Close())
	if n, err := s.Expired(ctx, store.Box{4}); n != 5 || err != nil {
		t.Errorf("%d expired, %v; want 5", n, err)
	}
	out, err := s.Append(ctx, []store.Envelope{envelope(1, 99, 1000, 5)})
	if err != nil || out[0].Seq != 31 || out[0].Node != "here" {
		t.Errorf("append: %+v, %v; want number 31, read here", out, err)
	}
	full := 0
	for i := range uint64(30) {
		out, err := s.Append(ctx, []store.Envelope{envelope(1, 99, 1001+i, 5)})
		must(t, err)
		if errors.Is(out[0].Err, store.ErrFull) {
			full++
		}
	}
	if full != 30-9 {
		t.Errorf("%d of 30 refused; one sender gets 10 of 40", full)
	}
	if val, err := s.Take(ctx, "pool216"); err != nil || len(val) != 0 {
		t.Errorf("took %x, %v; want the empty value that was next", val, err)
	}
}

// Writers write before, during and after a move. What was acknowledged is in
// the other store, and writes in between are refused, not lost.
func TestMoveUnderLoad(t *testing.T) {
	s := relocate.New(embedded(t))
	fill(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var refused, after atomic.Int64
	var moved atomic.Bool
	var mu sync.Mutex
	acked := make(map[uint64]uint64) // number by id
	for w := range uint64(6) {
		wg.Go(func() {
			for i := uint64(0); ctx.Err() == nil; i++ {
				id := w<<32 | i
				for ctx.Err() == nil {
					out, err := s.Append(t.Context(), []store.Envelope{envelope(0, byte(w), id|1<<63, 100)})
					if errors.Is(err, relocate.ErrPaused) {
						refused.Add(1)
						time.Sleep(time.Millisecond)
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					if out[0].Err == nil {
						mu.Lock()
						acked[id|1<<63] = out[0].Seq
						mu.Unlock()
					}
					if moved.Load() {
						after.Add(1)
					}
					break
				}
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	move := into(target(t, pgtest.Database(t), "move"))
	_, err := s.Move(t.Context(), func(ctx context.Context, from store.Store) (store.Store, error) {
		for end := time.Now().Add(3 * time.Minute); refused.Load() == 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // the move waits until the pause was met
		}
		return move(ctx, from)
	})
	must(t, err)
	moved.Store(true)
	for end := time.Now().Add(3 * time.Minute); after.Load() < 20 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	wg.Wait()
	msgs, _, err := s.Read(t.Context(), store.Box{0}, 0, 1<<30, 1<<30)
	must(t, err)
	have := make(map[uint64]uint64)
	for _, m := range msgs {
		have[binary.BigEndian.Uint64(m.ID[:])] = m.Seq
	}
	for id, seq := range acked {
		if have[id] != seq {
			t.Errorf("%x was acknowledged as number %d and is %d", id, seq, have[id])
		}
	}
	if len(acked) == 0 || after.Load() < 20 {
		t.Errorf("%d acknowledged, %d of them after the move", len(acked), after.Load())
	}
	if refused.Load() == 0 {
		t.Error("no append came while writes paused")
	}
	t.Logf("%d acknowledged, %d refused meanwhile", len(acked), refused.Load())
}

// A move that fails leaves everything as it was, and a second one into what the
// first has half filled works.
func TestMoveThatFails(t *testing.T) {
	s := relocate.New(embedded(t))
	fill(t, s)
	url := pgtest.Database(t)
	stop := errors.New("stop")
	_, err := s.Move(t.Context(), func(ctx context.Context, from store.Store) (store.Store, error) {
		if err := s.Create(ctx, store.Box{9}, store.Limits{}); !errors.Is(err, relocate.ErrPaused) || !errors.Is(err, store.ErrStopped) {
			t.Errorf("create during a move: %v", err)
		}
		if _, _, err := s.Read(ctx, store.Box{1}, 0, 1, 1); err != nil {
			t.Errorf("read during a move: %v", err)
		}
		if err := s.Err(); !errors.Is(err, store.ErrStopped) {
			t.Errorf("ready during a move: %v", err)
		}
		to := target(t, url, "first")
		load := to.Load(ctx)
		must(t, from.(relocate.Source).Walk(ctx, load))
		must(t, load.Flush())
		must(t, to.Close())
		return nil, stop
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	must(t, s.Create(t.Context(), store.Box{9}, store.Limits{}))
	if _, err := postgres.Open(t.Context(), url, postgres.Options{}); !errors.Is(err, postgres.ErrMoving) {
		t.Errorf("a server opens the half filled database: %v", err)
	}
	if _, err := postgres.Open(t.Context(), url, postgres.Options{Move: "second"}); !errors.Is(err, postgres.ErrElsewhere) {
		t.Errorf("a server that was moved elsewhere opens it: %v", err)
	}
	_, err = s.Move(t.Context(), into(target(t, url, "second")))
	must(t, err)
	must(t, s.Close())
	again, err := postgres.Open(t.Context(), url, postgres.Options{Move: "second"})
	must(t, err)
	defer again.Close()
	if _, _, err := again.Read(t.Context(), store.Box{9}, 0, 1, 1); err != nil {
		t.Errorf("what was created between the two: %v", err)
	}
	if _, err := postgres.OpenTarget(t.Context(), url, "third", postgres.Options{}); !errors.Is(err, postgres.ErrNotEmpty) {
		t.Errorf("a move into a database in use: %v", err)
	}
}

// The server is gone after the mark was written and before the database knew:
// the id in the mark opens it.
func TestMoveWhoseEndTheDatabaseMissed(t *testing.T) {
	from, url := embedded(t), pgtest.Database(t)
	fill(t, from)
	to := target(t, url, "move")
	_, err := relocate.Copy(t.Context(), from, to, to.Load(t.Context()))
	must(t, err)
	must(t, to.Close())
	for range 2 {
		s, err := postgres.Open(t.Context(), url, postgres.Options{Move: "move"})
		must(t, err)
		sameAnswers(t, from, s)
		must(t, s.Close())
	}
	s, err := postgres.Open(t.Context(), url, postgres.Options{})
	must(t, err)
	must(t, s.Close())
}

// A copy that differs in one byte is noticed.
func TestCopyThatDiffers(t *testing.T) {
	from, url := embedded(t), pgtest.Database(t)
	fill(t, from)
	to := target(t, url, "move")
	_, err := relocate.Copy(t.Context(), from, to, &spoiler{Loader: to.Load(t.Context())})
	if !errors.Is(err, relocate.ErrDiffers) {
		t.Errorf("%v, want ErrDiffers", err)
	}
}

// spoiler changes the last byte of one envelope.
type spoiler struct {
	*postgres.Loader
	n int
}

func (s *spoiler) Envelope(box store.Box, m store.Msg) error {
	if s.n++; s.n == 40 && len(m.Data) > 0 {
		m.Data = append([]byte{}, m.Data...)
		m.Data[len(m.Data)-1] ^= 1
	}
	return s.Loader.Envelope(box, m)
}
