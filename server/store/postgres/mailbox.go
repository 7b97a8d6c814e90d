package postgres

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
)

// Create opens a mailbox; see store.Store.
func (s *Store) Create(ctx context.Context, box store.Box, limits store.Limits) error {
	return s.doCommit(ctx, func(ctx context.Context) error {
		n, err := s.exec(ctx, `INSERT INTO posthorn.heads (box, max_envelopes, max_size) VALUES ($1, $2, $3)
			ON CONFLICT (box) DO UPDATE SET max_envelopes = excluded.max_envelopes, max_size = excluded.max_size WHERE NOT heads.gone`,
			box[:], int64(limits.Envelopes), int64(min(limits.Bytes, math.MaxInt64)))
		if err == nil && n == 0 {
			return store.ErrGone
		}
		return err
	})
}

// Drop deletes a mailbox for good; see store.Store.
func (s *Store) Drop(ctx context.Context, box store.Box) error {
	return s.doCommit(ctx, func(ctx context.Context) error {
		err := s.transaction(ctx, func(tx pgx.Tx) error {
			hs, err := lockHeads(ctx, tx, []store.Box{box})
			switch {
			case err != nil:
				return err
			case hs[box] == nil:
				return store.ErrNoBox
			case hs[box].gone:
				return nil
			}
			for _, sql := range []string{
				`DELETE FROM posthorn.envelopes WHERE box = $1`,
				`DELETE FROM posthorn.shares WHERE box = $1`,
				`UPDATE posthorn.heads SET gone = true, crowded = false, first = 1, last = 0, size = 0, expired = 0,
					max_envelopes = 0, max_size = 0, node = '', opened = '' WHERE box = $1`,
			} {
				if _, err := tx.Exec(ctx, sql, box[:]); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			s.mu.Lock()
			delete(s.acks, box)
			delete(s.heads.last, box)
			delete(s.aside, box)
			s.mu.Unlock()
		}
		return err
	})
}

// Expired returns the count of expired envelopes; see store.Store.
func (s *Store) Expired(ctx context.Context, box store.Box) (uint64, error) {
	return call(ctx, s, func(ctx context.Context) (n uint64, err error) {
		var gone bool
		err = s.pool.QueryRow(ctx, `SELECT expired, gone FROM posthorn.heads WHERE box = $1`, box[:]).Scan(&n, &gone)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return 0, store.ErrNoBox
		case err == nil && gone:
			return 0, store.ErrGone
		}
		return n, err
	})
}

// ClearExpired takes n off the count; see store.Store.
func (s *Store) ClearExpired(ctx context.Context, box store.Box, n uint64) error {
	return s.doCommit(ctx, func(ctx context.Context) error {
		return s.transaction(ctx, func(tx pgx.Tx) error {
			hs, err := lockHeads(ctx, tx, []store.Box{box})
			switch {
			case err != nil:
				return err
			case hs[box] == nil:
				return store.ErrNoBox
			case hs[box].gone:
				return store.ErrGone
			case hs[box].expired == 0:
				return nil
			}
			hs[box].expired -= min(n, hs[box].expired)
			hs[box].changed = true
			return hs.save(ctx, tx)
		})
	})
}

// Attach notes where a mailbox is read; see store.Store.
func (s *Store) Attach(ctx context.Context, box store.Box, node string) error {
	return s.do(ctx, func(ctx context.Context) error {
		n, err := s.jot(ctx, `UPDATE posthorn.heads SET node = $2, opened = $3 WHERE box = $1 AND NOT gone`, box[:], node, s.id)
		if err != nil || n > 0 {
			return err
		}
		var gone bool
		err = s.pool.QueryRow(ctx, `SELECT gone FROM posthorn.heads WHERE box = $1`, box[:]).Scan(&gone)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return store.ErrNoBox
		case err == nil:
			return store.ErrGone
		}
		return err
	})
}

// Detach forgets where a mailbox is read; see store.Store.
func (s *Store) Detach(ctx context.Context, box store.Box, node string) error {
	return s.do(ctx, func(ctx context.Context) error {
		_, err := s.jot(ctx, `UPDATE posthorn.heads SET node = '', opened = '' WHERE box = $1 AND node = $2 AND opened = $3`, box[:], node, s.id)
		return err
	})
}

// do is call for what has no result.
func (s *Store) do(ctx context.Context, f func(context.Context) error) error {
	_, err := call(ctx, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

// doCommit is commit for what has no result.
func (s *Store) doCommit(ctx context.Context, f func(context.Context) error) error {
	_, err := commit(ctx, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

// exec runs one statement, again when the database has rolled it back, and
// returns how many rows it touched.
func (s *Store) exec(ctx context.Context, sql string, args ...any) (rows int64, err error) {
	for range retries {
		rows, err = s.execOnce(ctx, sql, args)
		if err == nil || !undone(err) || ctx.Err() != nil {
			return rows, err
		}
	}
	return 0, err
}

func (s *Store) execOnce(ctx context.Context, sql string, args []any) (int64, error) {
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Release()
	tag, err := c.Exec(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	return tag.RowsAffected(), confirmed(c.Conn())
}

const (
	// aliveEvery is how often a process says that it lives, aliveFor how long
	// that holds, by the clock of the database.
	aliveEvery = 10 * time.Second
	aliveFor   = "40 seconds"
	// mendEvery is how often a database that does not answer is asked again.
	mendEvery = time.Second
	// learnEvery bounds how often the living are asked for between that.
	learnEvery = time.Second
)

// stayAlive renews the row of this process and learns who else lives.
func (s *Store) stayAlive(ctx context.Context) error {
	if _, err := s.jot(ctx, `INSERT INTO posthorn.opened (id, seen) VALUES ($1, now())
		ON CONFLICT (id) DO UPDATE SET seen = excluded.seen`, s.id); err != nil {
		return err
	}
	if _, err := s.jot(ctx, `DELETE FROM posthorn.opened WHERE seen < now() - interval '1 day'`); err != nil {
		return err
	}
	return s.learnLiving(ctx)
}

func (s *Store) learnLiving(ctx context.Context) error {
	rows, err := s.pool.Query(ctx, `SELECT id FROM posthorn.opened WHERE seen > now() - interval '`+aliveFor+`'`)
	if err != nil {
		return err
	}
	living := make(map[string]bool)
	var id []byte
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error {
		living[string(id)] = true
		return nil
	}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.living, s.asked = living, time.Now()
	return nil
}

// nodeOf is where a mailbox is read, unless the process that said so is gone.
// A process that came a moment ago is learned of at the next call.
func (s *Store) nodeOf(node string, opened []byte) string {
	if node == "" || string(opened) == string(s.id) {
		return node
	}
	s.mu.Lock()
	lives, old := s.living[string(opened)], time.Since(s.asked) > learnEvery
	if !lives && old {
		s.asked = time.Now()
	}
	s.mu.Unlock()
	if !lives && old && s.patiently(s.learnLiving) == nil {
		s.mu.Lock()
		lives = s.living[string(opened)]
		s.mu.Unlock()
	}
	if !lives {
		return ""
	}
	return node
}
