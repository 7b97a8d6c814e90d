package storetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

var seedFlag = flag.Uint64("storetest.seed", 0, "repeat the random test with this seed")

// walk does the same random things to a store and to the memory model.
type walk struct {
	*suite
	model *memory.Store
	rng   *rand.Rand
	now   time.Time
	names []store.Box      // mailboxes, some of which may not exist
	sent  []store.Envelope // since the last reopen, to repeat some
}

// againstModel compares every answer of some thousand random calls.
func againstModel(s *suite) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	s.Logf("go test -storetest.seed=%d", seed)
	w := &walk{suite: s, model: memory.New(), rng: rand.New(rand.NewPCG(seed, 0)), now: noon}
	for range 6 {
		w.names = append(w.names, s.unused())
	}
	steps := []func() (got, want string){
		w.stepAppend, w.stepAppend, w.stepAppend, w.stepAppend, w.stepAppend, w.stepRead, w.stepRead,
		w.stepAck, w.stepAck, w.stepCreate, w.stepDrop, w.stepSweep, w.stepExpired, w.stepCAS, w.stepGet,
		w.stepPut, w.stepTake, w.stepPresence, w.stepReopen, w.stepScan,
	}
	for i := range 3000 {
		if got, want := steps[w.rng.IntN(len(steps))](); got != want {
			s.Fatalf("step %d:\n got %s\nwant %s", i, got, want)
		}
		w.now = w.now.Add(time.Duration(w.rng.IntN(20_000)) * time.Millisecond)
	}
	counted, err := w.model.Stats(w.ctx)
	w.ok(err)
	w.stats(counted.Mailboxes, counted.Queued, counted.Oldest)
}

// say puts an outcome into words that two stores must agree on.
func say(what string, err error, results ...any) string {
	for _, known := range []error{
		store.ErrFull, store.ErrGone, store.ErrNoBox, store.ErrNotFound, store.ErrVersion, store.ErrEmpty,
	} {
		if errors.Is(err, known) {
			err = known
		}
	}
	return fmt.Sprintf("%s: %v %v", what, results, err)
}

func (w *walk) anyBox() store.Box { return w.names[w.rng.IntN(len(w.names))] }

func (w *walk) stepAppend() (got, want string) {
	var envs []store.Envelope
	for range 1 + w.rng.IntN(4) {
		if len(w.sent) > 0 && w.rng.IntN(5) == 0 {
			e := w.sent[w.rng.IntN(len(w.sent))]
			e.At = w.now
			envs = append(envs, e)
			continue
		}
		e := w.envelope(w.anyBox(), string(bytes.Repeat([]byte{'x'}, w.rng.IntN(40))))
		e.Sender, e.At = from(byte(w.rng.IntN(5))), w.now
		envs = append(envs, e)
	}
	w.sent = append(w.sent, envs...)
	a, aErr := w.Append(w.ctx, envs)
	b, bErr := w.model.Append(w.ctx, envs)
	return say("append", aErr, sayAppended(a)), say("append", bErr, sayAppended(b))
}

func sayAppended(out []store.Appended) (words []string) {
	for _, a := range out {
		words = append(words, say(a.Node, a.Err, a.Seq))
	}
	return words
}

func (w *walk) stepRead() (got, want string) {
	box, after := w.anyBox(), uint64(w.rng.IntN(30))
	if w.rng.IntN(2) == 0 {
		after = 0
	}
	max, bytes := w.rng.IntN(20), w.rng.IntN(400)
	a, aHead, aErr := w.Read(w.ctx, box, after, max, bytes)
	b, bHead, bErr := w.model.Read(w.ctx, box, after, max, bytes)
	return say("read", aErr, aHead, fmt.Sprint(a)), say("read", bErr, bHead, fmt.Sprint(b))
}

func (w *walk) stepAck() (got, want string) {
	var acks []store.BoxSeq
	for range 1 + w.rng.IntN(3) {
		box := w.anyBox()
		_, head, _ := w.model.Read(w.ctx, box, 0, 0, 0)
		acks = append(acks, store.BoxSeq{Box: box, Seq: head + 2 - min(head, uint64(w.rng.IntN(12)))})
	}
	return say("ack", w.Ack(w.ctx, acks)), say("ack", w.model.Ack(w.ctx, acks))
}

func (w *walk) stepCreate() (got, want string) {
	box := w.anyBox()
	limits := store.Limits{Envelopes: uint32(w.rng.IntN(60)), Bytes: uint64(w.rng.IntN(1500))}
	return say("create", w.Create(w.ctx, box, limits)), say("create", w.model.Create(w.ctx, box, limits))
}

// stepDrop drops now and then, and brings in a new name for each one lost.
func (w *walk) stepDrop() (got, want string) {
	if w.rng.IntN(4) > 0 {
		return "", ""
	}
	i := w.rng.IntN(len(w.names))
	box := w.names[i]
	got, want = say("drop", w.Drop(w.ctx, box)), say("drop", w.model.Drop(w.ctx, box))
	if w.rng.IntN(3) == 0 {
		w.names[i] = w.unused()
	}
	return got, want
}

func (w *walk) stepSweep() (got, want string) {
	before := w.now.Add(-time.Duration(w.rng.IntN(1200)) * time.Second)
	a, aDone, aErr := w.Sweep(w.ctx, before, 1<<30)
	b, bDone, bErr := w.model.Sweep(w.ctx, before, 1<<30)
	return say("sweep", aErr, a, aDone), say("sweep", bErr, b, bDone)
}

func (w *walk) stepExpired() (got, want string) {
	box := w.anyBox()
	a, aErr := w.Expired(w.ctx, box)
	b, bErr := w.model.Expired(w.ctx, box)
	part := w.rng.Uint64N(4)
	aClear, bClear := w.ClearExpired(w.ctx, box, part), w.model.ClearExpired(w.ctx, box, part)
	return say("expired", aErr, a) + say(" clear", aClear), say("expired", bErr, b) + say(" clear", bClear)
}

func (w *walk) key() string { return fmt.Sprint("key", w.rng.IntN(4)) }

func (w *walk) val() []byte { return binary.BigEndian.AppendUint64(nil, w.rng.Uint64()) }

func (w *walk) stepCAS() (got, want string) {
	key, val := w.key(), w.val()
	_, ver, _ := w.model.Get(w.ctx, key)
	ver += uint64(w.rng.IntN(5) / 4)
	a, aErr := w.CAS(w.ctx, key, ver, val)
	b, bErr := w.model.CAS(w.ctx, key, ver, val)
	return say("cas", aErr, a), say("cas", bErr, b)
}

func (w *walk) stepGet() (got, want string) {
	key := w.key()
	a, aVer, aErr := w.Get(w.ctx, key)
	b, bVer, bErr := w.model.Get(w.ctx, key)
	return say("get", aErr, a, aVer), say("get", bErr, b, bVer)
}

func (w *walk) stepScan() (got, want string) {
	after, max := w.key(), w.rng.IntN(5)
	a, aErr := w.Scan(w.ctx, "key", after, max)
	b, bErr := w.model.Scan(w.ctx, "key", after, max)
	return say("scan", aErr, fmt.Sprint(a)), say("scan", bErr, fmt.Sprint(b))
}

func (w *walk) stepPut() (got, want string) {
	pool, vals := w.key(), [][]byte{w.val(), w.val()}
	return say("put", w.Put(w.ctx, pool, vals...)), say("put", w.model.Put(w.ctx, pool, vals...))
}

func (w *walk) stepTake() (got, want string) {
	pool := w.key()
	a, aErr := w.Take(w.ctx, pool)
	b, bErr := w.model.Take(w.ctx, pool)
	return say("take", aErr, a), say("take", bErr, b)
}

func (w *walk) stepPresence() (got, want string) {
	box, node := w.anyBox(), fmt.Sprint("node", w.rng.IntN(2))
	if w.rng.IntN(2) == 0 {
		return say("detach", w.Detach(w.ctx, box, node)), say("detach", w.model.Detach(w.ctx, box, node))
	}
	return say("attach", w.Attach(w.ctx, box, node)), say("attach", w.model.Attach(w.ctx, box, node))
}

// stepReopen closes and opens both now and then. Ids may be forgotten by that,
// so none from before is repeated later.
func (w *walk) stepReopen() (got, want string) {
	if w.rng.IntN(8) > 0 {
		return "", ""
	}
	w.reopen()
	w.model = w.model.Reopen()
	w.sent = slices.Delete(w.sent, 0, len(w.sent))
	return "", ""
}
