package postgres

import (
	"bytes"
	"context"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
)

// Scan lists directory values; see store.Store.
func (s *Store) Scan(ctx context.Context, prefix, after string, max int) ([]store.Entry, error) {
	return ask(ctx, s, func(ctx context.Context) (out []store.Entry, err error) {
		rows, err := s.pool.Query(ctx, `SELECT key, val, ver FROM posthorn.directory
			WHERE key >= $1 AND ($2 OR key > $3) AND ($4 OR key < $5) ORDER BY key LIMIT $6`,
			[]byte(prefix), after < prefix, []byte(after), successor(prefix) == nil, successor(prefix), min(max, math.MaxInt32))
		if err != nil {
			return nil, err
		}
		var key, val []byte
		var e store.Entry
		_, err = pgx.ForEachRow(rows, []any{&key, &val, &e.Ver}, func() error {
			out = append(out, store.Entry{Key: string(key), Val: bytes.Clone(val), Ver: e.Ver})
			return nil
		})
		return out, err
	})
}

// successor is the smallest key above every key that begins with prefix; nil if
// there is none.
func successor(prefix string) []byte {
	next := []byte(prefix)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return nil
}

// counted is the last answer of Stats. Counting reads every head, so that an
// answer is kept for some times as long as it took.
type counted struct {
	sync.Mutex
	stats store.Stats
	until time.Time
}

// countRest is the part of the time in which nothing is counted: 9/10.
const countRest = 9

// Stats counts what is stored; see store.Store.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	return ask(ctx, s, func(ctx context.Context) (store.Stats, error) {
		s.count.Lock()
		defer s.count.Unlock()
		from := time.Now()
		if from.Before(s.count.until) {
			return s.count.stats, nil
		}
		var out store.Stats
		var oldest *int64
		err := s.transaction(ctx, func(tx pgx.Tx) error { return s.countAll(ctx, tx, &out, &oldest) })
		if err != nil {
			return out, err
		}
		if oldest != nil {
			out.Oldest = time.UnixMilli(*oldest).UTC()
		}
		s.count.stats, s.count.until = out, time.Now().Add(countRest*time.Since(from))
		return out, nil
	})
}

func (s *Store) countAll(ctx context.Context, tx pgx.Tx, out *store.Stats, oldest **int64) error {
	if s.tuned {
		if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan TO on`); err != nil {
			return err
		}
	}
	return tx.QueryRow(ctx, `SELECT count(*), coalesce(sum(h.last - h.first + 1), 0)::bigint, min(e.at)
			FROM posthorn.heads AS h LEFT JOIN posthorn.envelopes AS e ON e.box = h.box AND e.seq = h.first
			WHERE NOT h.gone`).Scan(&out.Mailboxes, &out.Queued, oldest)
}
