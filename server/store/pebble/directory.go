package pebble

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/posthorn/posthorn/server/store"
)

// Get returns a directory value; see store.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := s.enter(); err != nil {
		return nil, 0, err
	}
	defer s.leave()
	b, err := s.get(valueKey(key))
	if err != nil {
		return nil, 0, err
	}
	if err := s.awaitKey(ctx, key); err != nil {
		return nil, 0, err
	}
	if b == nil {
		return nil, 0, store.ErrNotFound
	}
	ver, val, err := parseValue(b)
	return val, ver, err
}

// awaitKey waits until what a moment ago could be read under a key is durable.
// Whichever batch wrote it was noted before the engine had it, and the batches
// after it land later, so waiting for the newest one is enough.
func (s *Store) awaitKey(ctx context.Context, key string) error {
	s.mu.Lock()
	f := s.keys[key]
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	select {
	case <-f.landed:
		return nil
	case <-s.stopped:
		return s.failure()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CAS sets a directory value; see store.Store.
func (s *Store) CAS(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	record := marshalValue(want+1, val)
	var now uint64 // not a result: after a cancelled wait the committer may still set it
	err := s.commit(ctx, func(t *txn) error {
		b, err := t.get(valueKey(key))
		if err != nil {
			return err
		}
		if b != nil {
			if now, _, err = parseValue(b); err != nil {
				return err
			}
		}
		if now != want {
			return store.ErrVersion
		}
		now++
		t.set(valueKey(key), record)
		t.keys = append(t.keys, key)
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrVersion) {
		return 0, err
	}
	return now, err
}

// Note is CAS: there is no other machine. See store.Store.
func (s *Store) Note(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	return s.CAS(ctx, key, want, val)
}

// Scan lists directory values; see store.Store.
func (s *Store) Scan(ctx context.Context, prefix, after string, max int) ([]store.Entry, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	found, err := s.entries(ctx, prefix, after, max)
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		if err := s.awaitKey(ctx, e.Key); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// entries reads directory values as the engine has them, durable or not.
func (s *Store) entries(ctx context.Context, prefix, after string, max int) (found []store.Entry, err error) {
	from := valueKey(prefix)
	if after >= prefix {
		from = append(valueKey(after), 0) // the least key above it
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: successor(valueKey(prefix))})
	if err != nil {
		return nil, readError(err)
	}
	defer it.Close()
	for ok := it.First(); ok && len(found) < max; ok = it.Next() {
		val, err := it.ValueAndErr()
		if err != nil {
			return nil, readError(err)
		}
		e := store.Entry{Key: string(it.Key()[1:])}
		if e.Ver, e.Val, err = parseValue(val); err != nil {
			return nil, err
		}
		found = append(found, e)
	}
	return found, errors.Join(readError(it.Error()), ctx.Err())
}

// pool returns how a pool stands.
func (t *txn) pool(name string) (pool, error) {
	b, err := t.get(poolKey(name))
	if err != nil || b == nil {
		return pool{}, err
	}
	return parsePool(b)
}

// Put adds values to a pool; see store.Store.
func (s *Store) Put(ctx context.Context, name string, vals ...[]byte) error {
	copies := make([][]byte, len(vals))
	for i, v := range vals {
		copies[i] = append([]byte{}, v...)
	}
	return s.commit(ctx, func(t *txn) error {
		p, err := t.pool(name)
		if err != nil {
			return err
		}
		for _, v := range copies {
			t.set(itemKey(name, p.next), v)
			p.next++
		}
		t.set(poolKey(name), p.marshal())
		return nil
	})
}

// Take removes the oldest value of a pool; see store.Store.
func (s *Store) Take(ctx context.Context, name string) ([]byte, error) {
	var val []byte
	err := s.commit(ctx, func(t *txn) error {
		p, err := t.pool(name)
		if err != nil {
			return err
		}
		if p.first == p.next {
			return store.ErrEmpty
		}
		if val, err = t.get(itemKey(name, p.first)); err != nil {
			return err
		}
		if val == nil {
			return damaged("pool, a value is missing")
		}
		t.remove(itemKey(name, p.first))
		p.first++
		t.set(poolKey(name), p.marshal())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return val, nil
}
