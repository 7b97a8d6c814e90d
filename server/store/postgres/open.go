package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posthorn/posthorn/server/store"
)

// Open opens the store in the database behind a postgres:// URL, and brings the
// schema of the database to the version of this program. ErrURL, ErrStale,
// ErrUnsafe, store.ErrFormat; store.ErrStopped when the database does not
// answer. No error names the URL or a part of it.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	o = o.withDefaults()
	seen, err := loadSeen(o)
	if err != nil {
		return nil, err
	}
	s := newStore(o)
	seen.replaced = s.doubt
	config, err := configure(url, o, seen)
	if err != nil {
		return nil, err
	}
	if s.tuned, err = prepare(ctx, config, o); err != nil {
		return nil, fmt.Errorf("store: not opened: %w", opening(err))
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("store: not opened: %w", opening(err))
	}
	if err := s.patiently(s.stayAlive); err != nil {
		s.pool.Close()
		return nil, fmt.Errorf("store: not opened: %w", opening(err))
	}
	s.workers.Go(s.runFlusher)
	s.workers.Go(s.keep)
	return s, nil
}

// prepare migrates over a connection of its own, and says whether the database
// is PostgreSQL itself.
func prepare(ctx context.Context, config *pgxpool.Config, o Options) (tuned bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*o.Patience)
	defer cancel()
	cc := config.ConnConfig.Copy()
	neverCancel(cc)
	c, err := pgx.ConnectConfig(ctx, cc)
	if err != nil {
		return false, err
	}
	defer c.Close(ctx)
	v, err := look(ctx, c.PgConn())
	if err != nil {
		return false, err
	}
	return v.postgres, migrate(ctx, c, o, v)
}

// opening is translate for an error of Open: what refuses a database is not
// hidden behind ErrStopped, which says that it will be tried again.
func opening(err error) error {
	for _, is := range []error{ErrMoving, ErrNotEmpty, ErrElsewhere, errNoStore} {
		if errors.Is(err, is) {
			return is
		}
	}
	for _, is := range []error{ErrStale, ErrUnsafe, store.ErrFormat, store.ErrCorrupt} {
		if errors.Is(err, is) {
			return bare(err)
		}
	}
	return translate(err)
}

func newStore(o Options) *Store {
	s := &Store{
		opts:    o,
		id:      newID(),
		queue:   make(chan *write, queued),
		room:    &room{free: maxWaiting},
		writers: make(chan struct{}, max(1, o.Connections/2)),
		quit:    make(chan struct{}),
		repeats: newRepeatCache(),
		heads:   newHeadCache(),
		acks:    make(map[store.Box]uint64),
		aside:   make(map[store.Box]bool),
	}
	s.ended, s.end = context.WithCancel(context.Background())
	return s
}

// newID draws an id for the table opened.
func newID() []byte {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // it does not fail
	return id
}

// begin runs f in a transaction on a connection.
func begin(ctx context.Context, c *pgxpool.Conn, f func(pgx.Tx) error) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return &notBegun{err}
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback(ctx) // a connection that cannot is given up
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	return confirmed(c.Conn())
}
