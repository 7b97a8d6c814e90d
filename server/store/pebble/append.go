package pebble

import (
	"context"
	"errors"
	"slices"

	"github.com/posthorn/posthorn/server/store"
)

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
	if err := s.enter(); err != nil {
		return nil, err
	}
	p := &pending{s: s, groups: groupByBox(envs), out: make([]store.Appended, len(envs))}
	if len(envs) == 0 {
		return p, nil
	}
	var err error
	if p.write, err = s.submit(ctx, p.run); err != nil {
		s.leave()
		return nil, err
	}
	return p, nil
}

// pending is one Append in the queue or on its way to the disk. It keeps the
// store from closing until it is waited for.
type pending struct {
	s      *Store
	groups []*group
	out    []store.Appended
	write  *write // nil: there is nothing to store
}

// run is the change; the committer calls it.
func (p *pending) run(t *txn) error {
	for _, g := range p.groups {
		if err := t.append(g, p.out); err != nil {
			return err
		}
	}
	return nil
}

// Wait says what became of it; see store.Pending.
func (p *pending) Wait(ctx context.Context) ([]store.Appended, error) {
	defer p.s.leave()
	if p.write == nil {
		return nil, nil
	}
	if err := p.s.await(ctx, p.write); err != nil {
		return nil, err
	}
	return p.out, nil
}

// Ready reports whether Wait returns at once; see store.Pending.
func (p *pending) Ready() bool {
	if p.write == nil {
		return true
	}
	select {
	case <-p.write.done:
		return true
	case <-p.s.stopped:
		return true
	default:
		return false
	}
}

// group is the part of one Append that goes to one mailbox.
type group struct {
	box   store.Box
	items []item
}

// item is one envelope, encoded before the committer sees it.
type item struct {
	at     int            // its place in the call
	env    store.Envelope // Data is nil; only its length is kept
	size   int
	record []byte
}

// groupByBox splits a call by mailbox and copies its bytes.
func groupByBox(envs []store.Envelope) []*group {
	if len(envs) == 1 {
		return []*group{{box: envs[0].Box, items: []item{newItem(0, envs[0])}}}
	}
	var groups []*group
	byBox := make(map[store.Box]*group, 1)
	for i, e := range envs {
		g := byBox[e.Box]
		if g == nil {
			g = &group{box: e.Box}
			byBox[e.Box] = g
			groups = append(groups, g)
		}
		g.items = append(g.items, newItem(i, e))
	}
	return groups
}

func newItem(at int, e store.Envelope) item {
	it := item{at: at, env: e, size: len(e.Data), record: marshalMessage(e)}
	it.env.Data = nil
	return it
}

// append stores one group, whole or not at all, and fills in its answers. The
// error is only for a disk that cannot be read.
func (t *txn) append(g *group, out []store.Appended) error {
	h, err := t.head(g.box)
	if errors.Is(err, store.ErrNoBox) || errors.Is(err, store.ErrGone) {
		for _, it := range g.items {
			out[it.at] = store.Appended{Err: err}
		}
		return nil
	}
	if err != nil {
		return err
	}
	p := t.plan(g, h)
	fits, err := t.admit(p, g.box, h)
	if err != nil {
		return err
	}
	if fits && len(p.fresh) > 0 {
		t.store(p, g, h)
	}
	t.answer(p, g, h, fits, out)
	return nil
}

// plan is what storing a group would do to its mailbox. It is gone with the next.
type plan struct {
	seqs   []uint64 // for each item, the number it has or would get
	fresh  []int    // the items that are not repeats
	shares []senderShare
	total  share // of the fresh items
}

type senderShare struct {
	sender store.Sender
	add    share
	now    share // what the mailbox has of this sender, with add
}

// plan numbers the items: repeats as before, the others on from the head.
func (t *txn) plan(g *group, h *head) *plan {
	p := &t.planned
	*p = plan{seqs: slices.Grow(p.seqs[:0], len(g.items))[:len(g.items)], fresh: p.fresh[:0], shares: p.shares[:0]}
	next := h.last + 1
	for i := range g.items {
		it := &g.items[i]
		if seq, ok := t.s.repeats.find(&it.env); ok {
			p.seqs[i] = seq
		} else if j := p.earlier(g, i); j >= 0 {
			p.seqs[i] = p.seqs[j]
		} else {
			p.seqs[i] = next
			p.add(i, it)
			next++
		}
	}
	return p
}

// earlier finds the same envelope earlier in the call, or -1.
func (p *plan) earlier(g *group, i int) int {
	e := &g.items[i].env
	for _, j := range p.fresh {
		if o := &g.items[j].env; o.ID == e.ID && o.Sender == e.Sender {
			return j
		}
	}
	return -1
}

func (p *plan) add(i int, it *item) {
	p.fresh = append(p.fresh, i)
	p.total.add(it.size)
	for k := range p.shares {
		if p.shares[k].sender == it.env.Sender {
			p.shares[k].add.add(it.size)
			return
		}
	}
	p.shares = append(p.shares, senderShare{sender: it.env.Sender, add: share{1, uint64(it.size)}})
}

func (s *share) add(size int) {
	s.envelopes++
	s.bytes += uint64(size)
}

// admit says whether the mailbox has room. Acks that still wait are applied
// first when the answer hangs on them.
func (t *txn) admit(p *plan, box store.Box, h *head) (bool, error) {
	fits, err := t.fits(p, box, h)
	if err != nil || fits || t.s.acks[box] < h.first {
		return fits, err
	}
	if _, err := t.settle(box, h, maxWrites*4); err != nil {
		return false, err
	}
	return t.fits(p, box, h)
}

func (t *txn) fits(p *plan, box store.Box, h *head) (bool, error) {
	maxEnvelopes, maxBytes := limitsOf(h)
	if h.count()+uint64(p.total.envelopes) > maxEnvelopes || h.bytes+p.total.bytes > maxBytes {
		return false, nil
	}
	for i := range p.shares {
		s := &p.shares[i]
		had, err := t.share(box, h, s.sender)
		if err != nil {
			return false, err
		}
		s.now = share{had.envelopes + s.add.envelopes, had.bytes + s.add.bytes}
		if uint64(s.now.envelopes) > max(1, maxEnvelopes/store.SenderShare) || s.now.bytes > maxBytes/store.SenderShare {
			return false, nil
		}
	}
	return true, nil
}

// limitsOf puts the defaults in place of zeroes.
func limitsOf(h *head) (envelopes, bytes uint64) {
	envelopes, bytes = uint64(h.limits.Envelopes), h.limits.Bytes
	if envelopes == 0 {
		envelopes = store.DefaultEnvelopes
	}
	if bytes == 0 {
		bytes = store.DefaultBytes
	}
	return envelopes, bytes
}

// store writes the fresh items of a plan that fits. Head and shares are not
// written with them, see tail.go.
func (t *txn) store(p *plan, g *group, h *head) {
	t.touch(g.box, h)
	for _, i := range p.fresh {
		it := &g.items[i]
		_ = t.batch.Set(messageKey(g.box, p.seqs[i]), it.record, nil)
		t.s.repeats.note(&it.env, p.seqs[i])
		t.queued(it.env.At)
	}
	for _, s := range p.shares {
		t.setShare(g.box, h, s.sender, s.now)
	}
	h.last += uint64(p.total.envelopes)
	h.bytes += p.total.bytes
	h.tail.envelopes += p.total.envelopes
	h.tail.bytes += p.total.bytes
	h.due = h.due || h.tail.long()
}

// answer fills in the results: when the group does not fit, its repeats are
// stored all the same and say so.
func (t *txn) answer(p *plan, g *group, h *head, fits bool, out []store.Appended) {
	node := t.s.nodes[g.box]
	for i, it := range g.items {
		if !fits && p.seqs[i] > h.last {
			out[it.at] = store.Appended{Err: store.ErrFull}
			continue
		}
		_, fresh := slices.BinarySearch(p.fresh, i)
		out[it.at] = store.Appended{Seq: p.seqs[i], Repeat: !fresh, Node: node}
	}
}
