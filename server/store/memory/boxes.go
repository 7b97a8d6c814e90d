package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/posthorn/posthorn/server/store"
)

// Create opens a mailbox; see store.Store.
func (s *Store) Create(ctx context.Context, box store.Box, limits store.Limits) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	switch b := s.boxes[box]; {
	case b == nil:
		s.boxes[box] = &mailbox{limits: limits, recent: make(map[repeatKey]repeat)}
		s.order = append(s.order, box)
	case b.gone:
		return store.ErrGone
	default:
		b.limits = limits
	}
	return nil
}

// Drop deletes a mailbox for good; see store.Store.
func (s *Store) Drop(ctx context.Context, box store.Box) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	b := s.boxes[box]
	if b == nil {
		return store.ErrNoBox
	}
	*b = mailbox{gone: true}
	delete(s.nodes, box)
	return nil
}

// Attach notes where a mailbox is read; see store.Store.
func (s *Store) Attach(ctx context.Context, box store.Box, node string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if _, err := s.mailbox(box); err != nil {
		return err
	}
	s.nodes[box] = node
	return nil
}

// Detach forgets where a mailbox is read; see store.Store.
func (s *Store) Detach(ctx context.Context, box store.Box, node string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.nodes[box] == node {
		delete(s.nodes, box)
	}
	return nil
}

// Sweep expires old envelopes; see store.Store.
func (s *Store) Sweep(ctx context.Context, olderThan time.Time, budget int) (expired int, done bool, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, false, err
	}
	defer s.mu.Unlock()
	for s.swept < len(s.order) {
		if budget <= 0 {
			return expired, false, nil
		}
		n := s.boxes[s.order[s.swept]].expire(olderThan, budget)
		expired += n
		if n == budget {
			return expired, false, nil
		}
		budget -= n + 1
		s.swept++
	}
	s.swept = 0
	return expired, true, nil
}

// expire removes at most budget old envelopes from the front.
func (b *mailbox) expire(olderThan time.Time, budget int) (n int) {
	for n < min(budget, len(b.msgs)) && b.msgs[n].At.Before(olderThan) {
		n++
	}
	b.msgs = slices.Delete(b.msgs, 0, n)
	b.expired += uint64(n)
	return n
}

// Expired returns the count of expired envelopes; see store.Store.
func (s *Store) Expired(ctx context.Context, box store.Box) (uint64, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	b, err := s.mailbox(box)
	if err != nil {
		return 0, err
	}
	return b.expired, nil
}

// ClearExpired takes n off the count; see store.Store.
func (s *Store) ClearExpired(ctx context.Context, box store.Box, n uint64) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	b, err := s.mailbox(box)
	if err != nil {
		return err
	}
	b.expired -= min(n, b.expired)
	return nil
}

// Get returns a directory value; see store.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := s.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer s.mu.Unlock()
	v, ok := s.values[key]
	if !ok {
		return nil, 0, store.ErrNotFound
	}
	return slices.Clone(v.val), v.ver, nil
}

// CAS sets a directory value; see store.Store.
func (s *Store) CAS(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	v := s.values[key]
	if v.ver != want {
		return v.ver, store.ErrVersion
	}
	s.values[key] = value{want + 1, slices.Clone(val)}
	return want + 1, nil
}

// Note is CAS: there is no other machine. See store.Store.
func (s *Store) Note(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	return s.CAS(ctx, key, want, val)
}

// Scan lists directory values; see store.Store.
func (s *Store) Scan(ctx context.Context, prefix, after string, max int) ([]store.Entry, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var found []store.Entry
	for key, v := range s.values {
		if strings.HasPrefix(key, prefix) && (key > after || after < prefix) {
			found = append(found, store.Entry{Key: key, Val: slices.Clone(v.val), Ver: v.ver})
		}
	}
	slices.SortFunc(found, func(a, b store.Entry) int { return strings.Compare(a.Key, b.Key) })
	return found[:min(len(found), max)], nil
}

// Stats counts everything anew; see store.Store.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	if err := s.enter(ctx); err != nil {
		return store.Stats{}, err
	}
	defer s.mu.Unlock()
	var out store.Stats
	for _, b := range s.boxes {
		if b.gone {
			continue
		}
		out.Mailboxes++
		out.Queued += uint64(len(b.msgs))
		for _, m := range b.msgs {
			if out.Oldest.IsZero() || m.At.Before(out.Oldest) {
				out.Oldest = m.At
			}
		}
	}
	return out, nil
}

// Put adds values to a pool; see store.Store.
func (s *Store) Put(ctx context.Context, pool string, vals ...[]byte) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, v := range vals {
		s.pools[pool] = append(s.pools[pool], slices.Clone(v))
	}
	return nil
}

// Take removes the oldest value of a pool; see store.Store.
func (s *Store) Take(ctx context.Context, pool string) ([]byte, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	waiting := s.pools[pool]
	if len(waiting) == 0 {
		return nil, store.ErrEmpty
	}
	s.pools[pool] = waiting[1:]
	return waiting[0], nil
}

// Err is nil until Close.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	return nil
}

// Close ends the use of this store; Reopen gives its content back.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.closed = true
	return nil
}
