package postgres

import (
	"context"

	"github.com/posthorn/posthorn/server/store"
)

const (
	// maxBatch bounds the envelopes of one statement: one flush of a few hundred
	// is where group commit stops gaining.
	maxBatch = 512
	// maxBatchBytes is when a batch is full, whatever it counts.
	maxBatchBytes = 4 << 20
	// maxWaiting bounds the bytes of envelopes in the queue and in the batch.
	maxWaiting = 32 << 20
	// queued is how many writers may wait in line before the next one blocks.
	queued = 4096
)

// write is one call of Append, waiting for its turn.
type write struct {
	groups []*group
	size   int              // bytes that it takes of the room
	count  int              // envelopes
	out    []store.Appended // its answers, valid once done is closed
	err    error
	done   chan struct{} // closed when the batch it went into is durable
}

// group is the part of one Append that goes to one mailbox.
type group struct {
	box   store.Box
	items []item
	w     *write
}

// item is one envelope.
type item struct {
	at    int            // its place in the call
	env   store.Envelope // Data is the store's own copy
	seq   uint64         // its number, once that is known; 0 before
	mine  bool           // this call stores it, under seq
	old   bool           // it was stored before, and the cache knows it
	asked bool           // nobody knows whether it is stored; the database is asked
	same  int            // the earlier item of the group that it repeats, or -1
}

// fresh reports whether the item is to be stored.
func (it *item) fresh() bool { return it.seq == 0 && it.same < 0 }

// Append stores envelopes; see store.Store.
func (s *Store) Append(ctx context.Context, envs []store.Envelope) ([]store.Appended, error) {
	p, err := s.Submit(ctx, envs)
	if err != nil {
		return nil, err
	}
	return p.Wait(ctx)
}

// Submit queues envelopes; see store.Store.
func (s *Store) Submit(ctx context.Context, envs []store.Envelope) (store.Pending, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	w := newWrite(envs)
	if err := s.line(ctx, w); err != nil {
		s.leave()
		return nil, err
	}
	return &pending{s, w}, nil
}

// line queues a write, if there is anything to store.
func (s *Store) line(ctx context.Context, w *write) error {
	if w.count == 0 {
		close(w.done)
		return nil
	}
	if s.unconfirmed() {
		return ErrUnconfirmed
	}
	if err := s.room.take(ctx, w.size); err != nil {
		return err
	}
	select {
	case s.queue <- w:
		return nil
	case <-ctx.Done():
		s.room.give(w.size)
		return ctx.Err()
	}
}

// pending is one Append under way. It keeps the store from closing until it is
// waited for.
type pending struct {
	s *Store
	w *write
}

// Wait says what became of it; see store.Pending.
func (p *pending) Wait(ctx context.Context) ([]store.Appended, error) {
	defer p.s.leave()
	select {
	case <-p.w.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.w.err != nil {
		return nil, p.w.err
	}
	return p.w.out, nil
}

// Ready reports whether Wait returns at once; see store.Pending.
func (p *pending) Ready() bool {
	select {
	case <-p.w.done:
		return true
	default:
		return false
	}
}

// newWrite splits a call by mailbox and copies its bytes.
func newWrite(envs []store.Envelope) *write {
	w := &write{count: len(envs), out: make([]store.Appended, len(envs)), done: make(chan struct{})}
	byBox := make(map[store.Box]*group, 1)
	total := 0
	for _, e := range envs {
		total += len(e.Data)
	}
	copies := make([]byte, 0, total)
	for i, e := range envs {
		g := byBox[e.Box]
		if g == nil {
			g = &group{box: e.Box, w: w}
			byBox[e.Box] = g
			w.groups = append(w.groups, g)
		}
		from := len(copies)
		copies = append(copies, e.Data...)
		e.Data = copies[from:len(copies):len(copies)]
		g.items = append(g.items, item{at: i, env: e, same: g.earlier(&e)})
	}
	w.size = min(total+len(envs)*128, maxWaiting)
	return w
}

// earlier finds the same envelope earlier in the call, or -1.
func (g *group) earlier(e *store.Envelope) int {
	for j := range g.items {
		if o := &g.items[j]; o.same < 0 && o.env.ID == e.ID && o.env.Sender == e.Sender {
			return j
		}
	}
	return -1
}

// sum counts what the group would add to its mailbox.
func (g *group) sum() (n, size int64) {
	for i := range g.items {
		if it := &g.items[i]; it.fresh() {
			n, size = n+1, size+int64(len(it.env.Data))
		}
	}
	return n, size
}

// number gives the fresh items numbers from next on, and the repeats inside the
// group those of what they repeat.
func (g *group) number(next uint64) {
	for i := range g.items {
		if it := &g.items[i]; it.fresh() {
			it.seq, it.mine = next, true
			next++
		}
	}
	for i := range g.items {
		if it := &g.items[i]; it.same >= 0 {
			it.seq = g.items[it.same].seq
		}
	}
}

// answer fills in the results of the group: those that have a number are
// stored, the others are not, because of err.
func (g *group) answer(node string, err error) {
	for i := range g.items {
		it := &g.items[i]
		if it.same >= 0 {
			it.seq = g.items[it.same].seq
		}
		if it.seq == 0 {
			g.w.out[it.at] = store.Appended{Err: err}
			continue
		}
		g.w.out[it.at] = store.Appended{Seq: it.seq, Repeat: !it.mine, Node: node}
	}
}
