// Package memory is the store as plain maps under one lock: the contract in its
// shortest form. Tests of other backends compare themselves with it. Nothing
// in it survives the process, so no server runs on it.
package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/posthorn/posthorn/server/store"
)

// Store is a store.Store in memory.
type Store struct {
	mu     sync.Mutex
	closed bool
	boxes  map[store.Box]*mailbox
	nodes  map[store.Box]string
	values map[string]value
	pools  map[string][][]byte
	order  []store.Box // every mailbox, in the order of creation, for Sweep
	swept  int         // how many of order the current round of sweeps has passed
}

var _ store.Store = (*Store)(nil)

type mailbox struct {
	gone    bool
	limits  store.Limits
	last    uint64
	msgs    []store.Msg
	expired uint64
	recent  map[repeatKey]repeat
}

type repeatKey struct {
	sender store.Sender
	id     store.EnvelopeID
}

type repeat struct {
	seq uint64
	at  time.Time
}

type value struct {
	ver uint64
	val []byte
}

// New makes an empty store.
func New() *Store {
	return &Store{
		boxes:  make(map[store.Box]*mailbox),
		nodes:  make(map[store.Box]string),
		values: make(map[string]value),
		pools:  make(map[string][][]byte),
	}
}

// Reopen returns a store with everything that this closed one held, as opening
// a directory again would.
func (s *Store) Reopen() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.boxes {
		clear(b.recent)
	}
	return &Store{
		boxes: s.boxes, values: s.values, pools: s.pools, order: s.order,
		nodes: make(map[store.Box]string),
	}
}

// enter takes the lock of an open store; the caller releases it.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return store.ErrClosed
	}
	return nil
}

func (s *Store) mailbox(box store.Box) (*mailbox, error) {
	b := s.boxes[box]
	switch {
	case b == nil:
		return nil, store.ErrNoBox
	case b.gone:
		return nil, store.ErrGone
	}
	return b, nil
}

// Append stores envelopes; see store.Store.
func (s *Store) Append(ctx context.Context, envs []store.Envelope) ([]store.Appended, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	out := make([]store.Appended, len(envs))
	byBox := make(map[store.Box][]int)
	for i, e := range envs {
		byBox[e.Box] = append(byBox[e.Box], i)
	}
	for box, items := range byBox {
		b, err := s.mailbox(box)
		if err != nil {
			for _, i := range items {
				out[i].Err = err
			}
			continue
		}
		s.appendTo(b, envs, items, out)
	}
	return out, nil
}

// Submit stores envelopes; see store.Store. In memory nothing has to be waited for.
func (s *Store) Submit(ctx context.Context, envs []store.Envelope) (store.Pending, error) {
	out, err := s.Append(ctx, envs)
	return done{out}, err
}

// done is an Append that is over.
type done struct{ out []store.Appended }

// Wait returns its answers.
func (d done) Wait(context.Context) ([]store.Appended, error) { return d.out, nil }

// Ready is true.
func (d done) Ready() bool { return true }

// appendTo tries the items on a copy and keeps it if it is within the limits.
func (s *Store) appendTo(b *mailbox, envs []store.Envelope, items []int, out []store.Appended) {
	was := *b
	was.recent = make(map[repeatKey]repeat, len(b.recent))
	for k, v := range b.recent {
		was.recent[k] = v
	}
	for _, i := range items {
		e := envs[i]
		key := repeatKey{e.Sender, e.ID}
		r, ok := b.recent[key]
		again := ok && e.At.Sub(r.at).Abs() <= store.RepeatWindow
		if !again {
			b.last++
			r = repeat{b.last, e.At}
			b.recent[key] = r
			at := time.UnixMilli(e.At.UnixMilli()).UTC()
			b.msgs = append(b.msgs, store.Msg{Seq: b.last, ID: e.ID, Sender: e.Sender, At: at, Data: slices.Clone(e.Data)})
		}
		out[i] = store.Appended{Seq: r.seq, Repeat: again, Node: s.nodes[e.Box]}
	}
	if b.last == was.last || b.within(was.last) {
		return
	}
	*b = was
	for _, i := range items {
		if out[i].Seq > b.last {
			out[i] = store.Appended{Err: store.ErrFull}
		}
	}
}

// within counts a mailbox from scratch and holds it, and every sender of an
// envelope above old, against the limits.
func (b *mailbox) within(old uint64) bool {
	envelopes, bytes := int(b.limits.Envelopes), int(b.limits.Bytes)
	if envelopes == 0 {
		envelopes = store.DefaultEnvelopes
	}
	if bytes == 0 {
		bytes = store.DefaultBytes
	}
	type use struct{ envelopes, bytes int }
	var all use
	by := make(map[store.Sender]use)
	added := make(map[store.Sender]bool)
	for _, m := range b.msgs {
		all = use{all.envelopes + 1, all.bytes + len(m.Data)}
		u := by[m.Sender]
		by[m.Sender] = use{u.envelopes + 1, u.bytes + len(m.Data)}
		added[m.Sender] = added[m.Sender] || m.Seq > old
	}
	for sender, fresh := range added {
		if u := by[sender]; fresh && (u.envelopes > max(1, envelopes/store.SenderShare) || u.bytes > bytes/store.SenderShare) {
			return false
		}
	}
	return all.envelopes <= envelopes && all.bytes <= bytes
}

// Read returns stored envelopes; see store.Store.
func (s *Store) Read(ctx context.Context, box store.Box, after uint64, max, maxBytes int) ([]store.Msg, uint64, error) {
	if err := s.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer s.mu.Unlock()
	b, err := s.mailbox(box)
	if err != nil {
		return nil, 0, err
	}
	var msgs []store.Msg
	size := 0
	for _, m := range b.msgs {
		if m.Seq <= after {
			continue
		}
		size += len(m.Data)
		if len(msgs) >= max || len(msgs) > 0 && size > maxBytes {
			break
		}
		m.Data = slices.Clone(m.Data)
		msgs = append(msgs, m)
	}
	return msgs, b.last, nil
}

// Ack releases envelopes; see store.Store.
func (s *Store) Ack(ctx context.Context, acks []store.BoxSeq) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, a := range acks {
		if b, err := s.mailbox(a.Box); err == nil {
			b.msgs = slices.DeleteFunc(b.msgs, func(m store.Msg) bool { return m.Seq <= a.Seq })
		}
	}
	return nil
}
