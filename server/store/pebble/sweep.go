package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/posthorn/posthorn/server/store"
)

// Sweep expires old envelopes; see store.Store.
func (s *Store) Sweep(ctx context.Context, olderThan time.Time, budget int) (expired int, done bool, err error) {
	if err := s.enter(); err != nil {
		return 0, false, err
	}
	defer s.leave()
	s.sweep.Lock()
	defer s.sweep.Unlock()
	boxes, next, budget, err := s.stale(olderThan, budget)
	if err != nil {
		return 0, false, err
	}
	expired, cut, err := s.expireAll(ctx, boxes, olderThan, budget)
	if err != nil {
		return 0, false, err
	}
	if cut != nil {
		next = cut
	}
	if next == nil {
		s.sweep.from = store.Box{}
		return expired, true, nil
	}
	s.sweep.from = *next
	return expired, false, nil
}

// stale looks at mailboxes from where the last sweep ended and returns those
// whose oldest envelope is due, the first one it did not look at (nil: none)
// and what is left of the budget.
func (s *Store) stale(before time.Time, budget int) (boxes []store.Box, next *store.Box, left int, err error) {
	heads, err := s.db.NewIter(&pebble.IterOptions{LowerBound: headKey(s.sweep.from), UpperBound: successor([]byte{keyHead})})
	if err != nil {
		return nil, nil, 0, readError(err)
	}
	defer heads.Close()
	messages, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyMessage}, UpperBound: successor([]byte{keyMessage})})
	if err != nil {
		return nil, nil, 0, readError(err)
	}
	defer messages.Close()
	for ok := heads.First(); ok; ok = heads.Next() {
		box := store.Box(heads.Key()[1:])
		if budget <= 0 {
			return boxes, &box, 0, nil
		}
		budget--
		due, err := firstBefore(messages, box, before)
		if err != nil {
			return nil, nil, 0, err
		}
		if due {
			boxes = append(boxes, box)
		}
	}
	if err := heads.Error(); err != nil {
		return nil, nil, 0, readError(err)
	}
	return boxes, nil, budget, nil
}

// firstBefore says whether a mailbox's oldest envelope came before a time.
func firstBefore(it *pebble.Iterator, box store.Box, before time.Time) (bool, error) {
	prefix, _ := boxRange(keyMessage, box)
	if !it.SeekGE(prefix) {
		return false, readError(it.Error())
	}
	if !bytes.HasPrefix(it.Key(), prefix) {
		return false, nil
	}
	val, err := it.ValueAndErr()
	if err != nil {
		return false, readError(err)
	}
	key := it.Key()
	m, err := parseMessage(binary.BigEndian.Uint64(key[len(key)-8:]), val)
	return m.At.Before(before), err
}

// expireAll queues one change for each mailbox and then waits for all, so that
// they share syncs. The changes run one after the other and share the budget;
// cut is the first mailbox for which it did not last, if any.
func (s *Store) expireAll(ctx context.Context, boxes []store.Box, before time.Time, budget int) (int, *store.Box, error) {
	var expired int
	var cut *store.Box
	budget = max(budget, 1) // a budget of mailboxes alone would never get on
	writes := make([]*write, 0, len(boxes))
	for _, box := range boxes {
		w, err := s.submit(ctx, func(t *txn) error {
			n, err := t.expire(box, before, budget)
			expired += n
			if budget -= n; budget <= 0 && cut == nil {
				cut = &box
			}
			return err
		})
		if err != nil {
			return 0, nil, err
		}
		writes = append(writes, w)
	}
	for _, w := range writes {
		if err := s.await(ctx, w); err != nil {
			return 0, nil, err
		}
	}
	return expired, cut, nil
}
