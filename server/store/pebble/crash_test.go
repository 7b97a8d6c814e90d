package pebble_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// crashPoints is how many power cuts TestPowerCuts makes.
const crashPoints = 150

// promises is what clients were told. Whatever stands here must hold after a
// power cut that comes later.
type promises struct {
	mu    sync.Mutex
	boxes map[store.Box]*boxPromises
	taken map[uint64]bool
	vers  map[string]uint64 // directory versions that a call returned

	broken []string // promises that a later answer contradicted
	made   atomic.Int64
}

type boxPromises struct {
	ids   map[uint64]store.EnvelopeID // by number, as answered or read
	acked uint64                      // the owner asked to release up to here
}

// snapshot copies the promises made so far.
func (p *promises) snapshot() *promises {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &promises{boxes: make(map[store.Box]*boxPromises), taken: make(map[uint64]bool), vers: make(map[string]uint64)}
	c.broken = append(c.broken, p.broken...)
	for box, b := range p.boxes {
		cb := &boxPromises{ids: make(map[uint64]store.EnvelopeID), acked: b.acked}
		for seq, id := range b.ids {
			cb.ids[seq] = id
		}
		c.boxes[box] = cb
	}
	for v := range p.taken {
		c.taken[v] = true
	}
	for k, v := range p.vers {
		c.vers[k] = v
	}
	return c
}

// TestPowerCuts lets writers, readers, owners and takers work on a file system
// that forgets what was not synced, cuts the power at random moments and holds
// what is left against what was promised before. Each cut goes on from the one
// before. It is attack A38 at the store.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	fs := vfs.NewCrashableMem()
	known := &promises{boxes: make(map[store.Box]*boxPromises), taken: make(map[uint64]bool), vers: make(map[string]uint64)}
	createBoxes(t, fs, known)
	kept := 0
	for i := range crashPoints {
		sound(t, fs)
		o := crashOptions(fs)
		o.Heads = 2 * (i % 2) // in half of the runs heads are forgotten and read again
		s := folder{"store", o}.Open(t)
		kept += check(t, s, known)
		if t.Failed() {
			return
		}
		known, fs = crashDuringWork(s, fs, known, rng)
	}
	t.Logf("%d envelopes were read after %d cuts", kept, crashPoints)
	if kept < crashPoints {
		t.Errorf("only %d envelopes were there to be checked over %d cuts", kept, crashPoints)
	}
}

func crashOptions(fs vfs.FS) pebble.Options {
	return pebble.Options{FS: fs, AckDelay: time.Millisecond}
}

func createBoxes(t *testing.T, fs vfs.FS, known *promises) {
	s := folder{"store", crashOptions(fs)}.Open(t)
	for i := range byte(4) {
		box := store.Box{i + 1}
		if err := s.Create(t.Context(), box, store.Limits{Envelopes: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		known.boxes[box] = &boxPromises{ids: make(map[uint64]store.EnvelopeID)}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// check holds a reopened store against the promises and counts envelopes.
func check(t *testing.T, s store.Store, known *promises) (kept int) {
	for _, b := range known.broken {
		t.Error(b)
	}
	for box, b := range known.boxes {
		msgs, head, err := s.Read(t.Context(), box, 0, 1<<30, 1<<30)
		if err != nil {
			t.Errorf("read: %v", err)
			continue
		}
		kept += len(msgs)
		have := make(map[uint64]store.EnvelopeID)
		for i, m := range msgs {
			if m.Seq != msgs[0].Seq+uint64(i) {
				t.Errorf("number %d at place %d after %d", m.Seq, i, msgs[0].Seq)
			}
			have[m.Seq] = m.ID
		}
		for seq, id := range b.ids {
			if seq > head {
				t.Errorf("number %d was promised, the head is %d", seq, head)
			}
			if got, ok := have[seq]; seq > b.acked && (!ok || got != id) {
				t.Errorf("number %d was promised to be %x, it is %x (%v)", seq, id, got, ok)
			}
		}
	}
	for key, ver := range known.vers {
		if _, now, err := s.Get(t.Context(), key); err != nil || now < ver {
			t.Errorf("%s is at version %d, %v; it was at %d", key, now, err, ver)
		}
	}
	return kept
}

// crashDuringWork runs the load, cuts the power in the midst of it and returns
// what is left, with the promises made by then. The moment is counted in
// promises, so that a slow machine gets as much done before it as a fast one.
func crashDuringWork(s store.Store, fs *vfs.MemFS, known *promises, rng *rand.Rand) (*promises, *vfs.MemFS) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, work := range []func(context.Context, store.Store, uint64){
		known.send, known.send, known.send, known.own, known.take, known.count,
	} {
		seed := rng.Uint64()
		wg.Go(func() { work(ctx, s, seed) })
	}
	known.await(rng.Int64N(100))
	before := known.snapshot()
	left := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	after := known.snapshot()
	for box, b := range before.boxes {
		b.acked = after.boxes[box].acked // an ack between the two may have landed
	}
	cancel()
	wg.Wait()
	_ = s.Close()
	return before, left
}

// await waits for n more promises. None for a minute means that the store has
// stopped to work; the checks that follow then say what is wrong.
func (p *promises) await(n int64) {
	due, end := p.made.Load()+n, time.Now().Add(time.Minute)
	for p.made.Load() < due && time.Now().Before(end) {
		time.Sleep(50 * time.Microsecond)
	}
}

// send appends to random mailboxes, two envelopes to each call.
func (p *promises) send(ctx context.Context, s store.Store, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for ctx.Err() == nil {
		envs := make([]store.Envelope, 2)
		for i := range envs {
			envs[i] = store.Envelope{Box: store.Box{byte(1 + rng.IntN(4))}, Data: make([]byte, rng.IntN(3000)), At: time.UnixMilli(1e12)}
			binary.BigEndian.PutUint64(envs[i].ID[:], rng.Uint64())
		}
		out, err := s.Append(ctx, envs)
		if err != nil {
			return
		}
		p.mu.Lock()
		for i, a := range out {
			if a.Err == nil {
				p.note(envs[i].Box, a.Seq, envs[i].ID)
			}
		}
		p.mu.Unlock()
	}
}

// own reads mailboxes and acks a part; what was read is promised as well.
func (p *promises) own(ctx context.Context, s store.Store, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	for ctx.Err() == nil {
		box := store.Box{byte(1 + rng.IntN(4))}
		msgs, _, err := s.Read(ctx, box, 0, 50, 1<<30)
		if err != nil {
			return
		}
		p.mu.Lock()
		for _, m := range msgs {
			p.note(box, m.Seq, m.ID)
		}
		var upto uint64
		if len(msgs) > 10 {
			upto = msgs[rng.IntN(len(msgs))].Seq
			p.boxes[box].acked = max(upto, p.boxes[box].acked)
		}
		p.mu.Unlock()
		if s.Ack(ctx, []store.BoxSeq{{Box: box, Seq: upto}}) != nil {
			return
		}
	}
}

// note adds a promise: that number names that envelope. The caller holds mu.
func (p *promises) note(box store.Box, seq uint64, id store.EnvelopeID) {
	ids := p.boxes[box].ids
	if old, ok := ids[seq]; ok && old != id {
		p.broken = append(p.broken, fmt.Sprintf("number %d was %x and became %x", seq, old, id))
	}
	ids[seq] = id
	p.made.Add(1)
}

// take fills a pool with values that are like no other and takes from it.
func (p *promises) take(ctx context.Context, s store.Store, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 4))
	for ctx.Err() == nil {
		val, err := s.Take(ctx, "pool")
		if errors.Is(err, store.ErrEmpty) {
			err = s.Put(ctx, "pool", binary.BigEndian.AppendUint64(nil, rng.Uint64()))
		} else if err == nil {
			p.noteTaken(binary.BigEndian.Uint64(val))
		}
		if err != nil {
			return
		}
	}
}

func (p *promises) noteTaken(v uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken[v] {
		p.broken = append(p.broken, fmt.Sprintf("value %x was taken twice", v))
	}
	p.taken[v] = true
	p.made.Add(1)
}

// count raises a directory value and reads it back.
func (p *promises) count(ctx context.Context, s store.Store, _ uint64) {
	for ctx.Err() == nil {
		_, ver, err := s.Get(ctx, "counter")
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return
		}
		p.promise("counter", ver)
		if ver, err = s.CAS(ctx, "counter", ver, nil); err != nil {
			return
		}
		p.promise("counter", ver)
	}
}

func (p *promises) promise(key string, ver uint64) {
	if ver == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.vers[key] = max(p.vers[key], ver)
	p.made.Add(1)
}
