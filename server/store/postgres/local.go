package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A primary that waits for standbys confirms nothing once all of them are
// gone, and a transaction that waits keeps its locks. So that devices still get
// what is stored, three things wait for no standby: Note, presence, and acks
// that are applied. None of them waits long for a lock either. All other writes
// are refused from the first one on that has waited for too long, until a probe
// is confirmed; else each would leave one more waiting connection behind.
//
// What a failover does to the three: the log of the database is in order, so a
// standby that lacks one of them lacks all that came after it, and every write
// that was confirmed came before. A lost presence costs reads until the stream
// notes it anew, a lost ack brings envelopes again, and what a lost Note costs
// is for its writer to say.

// local makes one transaction wait for no standby, and not long for a lock.
const local = `SELECT set_config('synchronous_commit', 'local', true), set_config('lock_timeout', '1s', true)`

// locally does so for a transaction that has begun.
func (s *Store) locally(ctx context.Context, tx pgx.Tx) error {
	if !s.tuned {
		return nil
	}
	_, err := tx.Exec(ctx, local)
	return err
}

// jot is exec that waits for no standby.
func (s *Store) jot(ctx context.Context, sql string, args ...any) (rows int64, err error) {
	if !s.tuned {
		return s.exec(ctx, sql, args...)
	}
	for range retries {
		rows, err = s.jotOnce(ctx, sql, args)
		if err == nil || !undone(err) || ctx.Err() != nil {
			return rows, err
		}
	}
	return 0, err
}

// jotOnce sends both statements at once; they are one transaction.
func (s *Store) jotOnce(ctx context.Context, sql string, args []any) (rows int64, err error) {
	var both pgx.Batch
	both.Queue(local)
	both.Queue(sql, args...)
	answers := s.pool.SendBatch(ctx, &both)
	if _, err = answers.Exec(); err == nil {
		tag, failed := answers.Exec()
		rows, err = tag.RowsAffected(), failed
	}
	return rows, errors.Join(err, answers.Close())
}

// commit is call for what must be confirmed. Half of the connections are left
// for reads.
func commit[T any](ctx context.Context, s *Store, f func(context.Context) (T, error)) (T, error) {
	return call(ctx, s, func(ctx context.Context) (val T, err error) {
		if s.unconfirmed() {
			return val, ErrUnconfirmed
		}
		select {
		case s.writers <- struct{}{}:
		case <-ctx.Done():
			return val, ctx.Err()
		}
		defer func() { <-s.writers }()
		val, err = f(ctx)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.suspect()
		}
		return val, err
	})
}

// unconfirmed reports whether writes are refused for now.
func (s *Store) unconfirmed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waits
}

// suspect is called when a write has waited for too long. Writes are refused
// from then on, until a probe is through.
func (s *Store) suspect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waits || s.ending() {
		return
	}
	s.waits = true
	s.opts.Log.Error("the database confirms no writes; they are refused until it does, and reads go on")
	s.workers.Go(s.awaitConfirmation)
}

// ending reports whether Close has begun.
func (s *Store) ending() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

// awaitConfirmation probes until a probe is confirmed.
func (s *Store) awaitConfirmation() {
	for s.probe() != nil {
		select {
		case <-s.quit:
			return
		case <-time.After(mendEvery / 4):
		}
	}
	s.mu.Lock()
	s.waits = false
	s.mu.Unlock()
	s.opts.Log.Info("the database confirms writes again")
}

// probe writes a row, and waits for its confirmation as long as the database
// answers otherwise: one connection waits, however long it takes.
func (s *Store) probe() error {
	ctx, cancel := context.WithCancel(s.ended)
	defer cancel()
	go func() {
		defer cancel()
		for s.pulse(ctx) == nil {
		}
	}()
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	if err := probeOn(ctx, c); err != nil {
		return err
	}
	return confirmed(c.Conn())
}

// probeOn writes a row under an id of its own, which nobody else waits for, and
// takes it away again.
func probeOn(ctx context.Context, c *pgxpool.Conn) error {
	id := newID()
	if _, err := c.Exec(ctx, `INSERT INTO posthorn.opened (id, seen) VALUES ($1, now())`, id); err != nil {
		return err
	}
	_, err := c.Exec(ctx, `DELETE FROM posthorn.opened WHERE id = $1`, id)
	return err
}

// pulse waits a second and asks whether the database answers. An error: it does
// not, or the store closes.
func (s *Store) pulse(ctx context.Context) error {
	select {
	case <-s.quit:
		return context.Canceled
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(mendEvery):
	}
	ctx, cancel := s.patience(ctx)
	defer cancel()
	return s.pool.Ping(ctx)
}
