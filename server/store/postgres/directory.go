package postgres

import (
	"bytes"
	"context"
	"errors"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
)

// Get returns a directory value; see store.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	e, err := ask(ctx, s, func(ctx context.Context) (e versioned, err error) {
		err = s.pool.QueryRow(ctx, `SELECT val, ver FROM posthorn.directory WHERE key = $1`, []byte(key)).Scan(&e.val, &e.ver)
		return e, orElse(err, store.ErrNotFound)
	})
	return e.val, e.ver, err
}

// versioned is a directory value.
type versioned struct {
	val []byte
	ver uint64
}

// orElse names what it means that there is no such row.
func orElse(err, missing error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return missing
	}
	return err
}

// CAS sets a directory value; see store.Store.
func (s *Store) CAS(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	val = append([]byte{}, val...)
	out, err := commit(ctx, s, func(ctx context.Context) (swapped, error) { return s.swap(ctx, s.exec, key, want, val) })
	return out.result(err)
}

// Note is CAS that waits for no standby; see store.Store.
func (s *Store) Note(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	val = append([]byte{}, val...)
	out, err := call(ctx, s, func(ctx context.Context) (swapped, error) { return s.swap(ctx, s.jot, key, want, val) })
	return out.result(err)
}

// swapped is what became of a compare-and-swap.
type swapped struct {
	ver     uint64 // that the key is at
	refused bool
}

func (o swapped) result(err error) (uint64, error) {
	if err == nil && o.refused {
		err = store.ErrVersion
	}
	return o.ver, err
}

// execute is exec or jot.
type execute func(ctx context.Context, sql string, args ...any) (rows int64, err error)

func (s *Store) swap(ctx context.Context, exec execute, key string, want uint64, val []byte) (swapped, error) {
	for {
		done, err := swapOnce(ctx, exec, key, want, val)
		if err != nil || done {
			return swapped{ver: want + 1}, err
		}
		var now uint64
		err = s.pool.QueryRow(ctx, `SELECT ver FROM posthorn.directory WHERE key = $1`, []byte(key)).Scan(&now)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return swapped{}, err
		}
		if now != want { // else another came to it just between
			return swapped{now, true}, nil
		}
	}
}

// swapOnce sets a key that is at version want, and says whether it was.
func swapOnce(ctx context.Context, exec execute, key string, want uint64, val []byte) (bool, error) {
	sql, args := `UPDATE posthorn.directory SET ver = ver + 1, val = $2 WHERE key = $1 AND ver = $3`, []any{[]byte(key), val, want}
	switch {
	case want == 0:
		sql, args = `INSERT INTO posthorn.directory (key, ver, val) VALUES ($1, 1, $2) ON CONFLICT (key) DO NOTHING`, args[:2]
	case want > math.MaxInt64:
		return false, nil
	}
	n, err := exec(ctx, sql, args...)
	return n > 0, err
}

// Put adds values to a pool; see store.Store.
func (s *Store) Put(ctx context.Context, pool string, vals ...[]byte) error {
	copies := make([][]byte, len(vals))
	numbers := make([]int64, len(vals))
	for i, v := range vals {
		copies[i], numbers[i] = append([]byte{}, v...), int64(i)
	}
	return s.doCommit(ctx, func(ctx context.Context) error {
		return s.transaction(ctx, func(tx pgx.Tx) error {
			var first int64
			err := tx.QueryRow(ctx, `INSERT INTO posthorn.pools (pool, first, next) VALUES ($1, 1, $2 + 1)
				ON CONFLICT (pool) DO UPDATE SET next = pools.next + $2 RETURNING next - $2`, []byte(pool), int64(len(vals))).Scan(&first)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO posthorn.pooled (pool, n, val)
				SELECT $1, $2 + v.n, v.val FROM unnest($3::bigint[], $4::bytea[]) AS v(n, val)`, []byte(pool), first, numbers, copies)
			return err
		})
	})
}

// Take removes the oldest value of a pool; see store.Store. Two statements: the
// second must see what another process put in while the first one waited.
func (s *Store) Take(ctx context.Context, pool string) ([]byte, error) {
	return commit(ctx, s, func(ctx context.Context) (val []byte, err error) {
		err = s.transaction(ctx, func(tx pgx.Tx) error {
			var n int64
			err := tx.QueryRow(ctx, `UPDATE posthorn.pools SET first = first + 1 WHERE pool = $1 AND first < next RETURNING first - 1`,
				[]byte(pool)).Scan(&n)
			if err != nil {
				return orElse(err, store.ErrEmpty)
			}
			err = tx.QueryRow(ctx, `DELETE FROM posthorn.pooled WHERE pool = $1 AND n = $2 RETURNING val`, []byte(pool), n).Scan(&val)
			return orElse(err, damaged("a value of a pool is missing"))
		})
		return bytes.Clone(val), err
	})
}
