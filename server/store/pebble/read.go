package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/posthorn/posthorn/server/store"
)

// missing says that an error means no open mailbox, not trouble.
func missing(err error) bool {
	return errors.Is(err, store.ErrNoBox) || errors.Is(err, store.ErrGone)
}

// view is the readable part of a mailbox at one moment: numbers first..last.
type view struct{ first, last uint64 }

func (s *Store) view(box store.Box) (view, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := s.head(box)
	if err != nil {
		return view{}, err
	}
	return view{max(h.first, s.acks[box]+1), h.durable}, nil
}

// Read returns stored envelopes; see store.Store.
func (s *Store) Read(ctx context.Context, box store.Box, after uint64, max, maxBytes int) ([]store.Msg, uint64, error) {
	if err := s.enter(); err != nil {
		return nil, 0, err
	}
	defer s.leave()
	for {
		v, err := s.view(box)
		if err != nil {
			return nil, 0, err
		}
		msgs, err := s.collect(box, after, v, max, maxBytes)
		if err == nil {
			return msgs, v.last, ctx.Err()
		}
		// Envelopes released meanwhile look like damage; then look again.
		if now, gone := s.view(box); gone != nil {
			return nil, 0, gone
		} else if now.first == v.first {
			return nil, 0, err
		}
	}
}

// collect copies the envelopes of a view above after.
func (s *Store) collect(box store.Box, after uint64, v view, limit, maxBytes int) ([]store.Msg, error) {
	if limit <= 0 || after >= v.last {
		return nil, nil
	}
	var msgs []store.Msg
	size := 0
	err := s.scan(box, max(after+1, v.first), v.last, func(m store.Msg) bool {
		size += len(m.Data)
		if len(msgs) == limit || len(msgs) > 0 && size > maxBytes {
			return false
		}
		m.Data = slices.Clone(m.Data)
		msgs = append(msgs, m)
		return true
	})
	return msgs, err
}

// scan calls visit for the envelopes from..to in order until it returns false.
// Data is only valid during the call. An envelope that is not there is
// ErrCorrupt.
func (s *Store) scan(box store.Box, from, to uint64, visit func(store.Msg) bool) error {
	if from > to {
		return nil
	}
	through := true
	next, err := s.scanRange(messageKey(box, from), messageKey(box, to+1), from, func(m store.Msg) bool {
		through = visit(m)
		return through
	})
	if err == nil && through && next <= to {
		return damaged("mailbox, an envelope is missing")
	}
	return err
}

// scanRange calls visit for the envelopes between two keys, which must be
// numbered on from first, until it returns false. next is the first number that
// was not visited.
func (s *Store) scanRange(from, to []byte, first uint64, visit func(store.Msg) bool) (next uint64, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return first, readError(err)
	}
	defer func() {
		if cerr := it.Close(); err == nil && cerr != nil {
			err = readError(cerr)
		}
	}()
	next = first
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		if seq := binary.BigEndian.Uint64(key[len(key)-8:]); seq != next {
			return next, damaged("mailbox, an envelope is missing")
		}
		val, err := it.ValueAndErr()
		if err != nil {
			return next, readError(err)
		}
		m, err := parseMessage(next, val)
		if err != nil || !visit(m) {
			return next, err
		}
		next++
	}
	return next, readError(it.Error())
}

// Attach notes where a mailbox is read; see store.Store.
func (s *Store) Attach(_ context.Context, box store.Box, node string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.head(box); err != nil {
		return err
	}
	s.nodes[box] = node
	return nil
}

// Detach forgets where a mailbox is read; see store.Store.
func (s *Store) Detach(_ context.Context, box store.Box, node string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes[box] == node {
		delete(s.nodes, box)
	}
	return nil
}
