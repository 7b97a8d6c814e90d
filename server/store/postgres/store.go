// Package postgres is the store on a PostgreSQL database, for servers that have
// outgrown one machine. Several processes may use one database. README.md
// beside this file follows one envelope through it.
//
// The tables are in schema/. The driver keeps to what PostgreSQL, Citus,
// YugabyteDB and CockroachDB have in common: no triggers, no sequences, no
// notifications. It is tested on PostgreSQL.
//
// Everything that decides lies in the database, because another process may
// change it at any time. One goroutine for each Store, the flusher (flush.go),
// gathers appends while the batch before is being committed, and commits them
// with one statement. A second one, the keeper, applies acks and renews the
// row that says that this process lives. Everything else runs in the calls.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posthorn/posthorn/server/store"
)

// Options tune a Store. The zero value is right for a server.
type Options struct {
	// SeenFile is where this machine keeps which database it has used, so that
	// a stale one is refused after a restart as well. Empty: in memory only.
	SeenFile string
	// Epoch is the lowest epoch that the database must be at; see ErrStale. It
	// is for engines that do not tell a stale primary from a new one.
	Epoch uint64
	// Accept takes the database as it is, whatever was seen before.
	Accept bool
	// Move is the id of the move that brought this server into a database. The
	// database must be that one. Empty: there was none.
	Move   string
	target bool // the store is opened by OpenTarget
	// Program names the version of this program, for the refusal that an older
	// one gives after a migration.
	Program string
	// AckDelay is how long acks are gathered; 0: 200 ms.
	AckDelay time.Duration
	// Patience is how long the database may take to answer; 0: 20 s.
	Patience time.Duration
	// Connections bounds the connections to the database; 0: 16.
	Connections int
	// Log gets trouble with the database; nil: none.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.AckDelay == 0 {
		o.AckDelay = 200 * time.Millisecond
	}
	if o.Patience == 0 {
		o.Patience = 20 * time.Second
	}
	if o.Connections == 0 {
		o.Connections = 16
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store is a store.Store on a database.
type Store struct {
	pool  *pgxpool.Pool
	opts  Options
	tuned bool   // PostgreSQL itself: its planner has been told what to do
	id    []byte // of this opening of the store, in the table opened

	gate   sync.RWMutex // held for reading by every call, for writing by Close
	closed bool

	queue   chan *write
	room    *room         // bytes that may wait for the flusher
	held    *write        // taken from the queue, for the next batch; the flusher's own
	quit    chan struct{} // closed by Close
	workers sync.WaitGroup
	writers chan struct{}   // held by those that wait for a commit, so that reads find a connection
	ended   context.Context // done when Close waits no longer
	end     context.CancelFunc

	mu      sync.Mutex // the fields below; never held while the database works
	repeats *repeatCache
	heads   *headCache
	acks    map[store.Box]uint64 // acks that are not applied yet
	lineage uint64               // how often the database was replaced by another state of it
	aside   map[store.Box]bool   // damaged mailboxes; see setAside
	living  map[string]bool      // processes that have the store open
	asked   time.Time            // when living was last asked for
	down    error                // why the last use of the database failed
	waits   bool                 // commits are not confirmed; see suspect

	told  string // what the keeper told last; its own
	count counted
	sweep struct {
		sync.Mutex
		from []byte // where the next Sweep begins
	}
}

var _ store.Store = (*Store)(nil)

// enter begins a call; every successful enter is followed by leave.
func (s *Store) enter() error {
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return store.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.gate.RUnlock() }

// call runs f to its end, or to the end of the store's patience, even when the
// caller does not wait so long: a connection that is given up in the midst of
// a statement is lost, and callers may give up as often as they like.
func call[T any](ctx context.Context, s *Store, f func(context.Context) (T, error)) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	if err := s.enter(); err != nil {
		return zero, err
	}
	type result struct {
		val T
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer s.leave()
		ctx, cancel := s.patience(context.WithoutCancel(ctx))
		defer cancel()
		val, err := f(ctx)
		done <- result{val, s.judge(err)}
	}()
	select {
	case r := <-done:
		return r.val, r.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// Err is nil while the database answers, else it says why the last use of it
// failed. It ends by itself when the database is back.
func (s *Store) Err() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down == nil && s.waits {
		return fmt.Errorf("%w: %w", ErrUnconfirmed, store.ErrPassing)
	}
	return s.down
}

// closeWithin bounds Close: a process that is told to end must not be killed
// for the sake of a database that hangs.
const closeWithin = 5 * time.Second

// Close waits for the calls that run, applies waiting acks and gives up the
// connections. After 5 seconds it cuts them instead: appends without an answer
// get ErrStopped, and envelopes whose acks were not applied come again.
func (s *Store) Close() error {
	cut := time.AfterFunc(closeWithin, s.end)
	defer cut.Stop()
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.closed = true
	close(s.quit)
	s.workers.Wait()
	err := s.goodbye()
	s.end()
	s.hangUp()
	return err
}

// hangUp closes the pool. A connection that is just being made to a database
// that hangs is left behind; it is closed when its own time is over.
func (s *Store) hangUp() {
	done := make(chan struct{})
	go func() {
		s.pool.Close()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// goodbye leaves the database as a process does that is not coming back.
func (s *Store) goodbye() error {
	if err := s.settleAll(); err != nil {
		return fmt.Errorf("the last acks were not applied, their envelopes come again: %w", s.judge(err))
	}
	return s.judge(s.patiently(func(ctx context.Context) error {
		_, err := s.jot(ctx, `DELETE FROM posthorn.opened WHERE id = $1`, s.id)
		return err
	}))
}

// keep is the keeper: it applies acks, tells the other processes that this one
// lives, and finds out when a database that went away is back.
func (s *Store) keep() {
	acks, pulse := time.NewTicker(s.opts.AckDelay), time.NewTicker(mendEvery)
	defer acks.Stop()
	defer pulse.Stop()
	for alive := time.Now(); ; {
		s.mu.Lock()
		down := s.down != nil
		s.mu.Unlock()
		select {
		case <-s.quit:
			return
		case <-acks.C:
			if !down && len(s.ackedBoxes()) > 0 {
				s.tell(s.judge(s.settleAll()))
			}
		case <-pulse.C:
			if down || time.Since(alive) >= aliveEvery {
				alive = time.Now()
				s.tell(s.judge(s.patiently(s.stayAlive)))
			}
		}
	}
}

func (s *Store) patiently(f func(context.Context) error) error {
	ctx, cancel := s.patience(context.Background())
	defer cancel()
	return f(ctx)
}

// patience is a context for as long as the database may take to answer.
func (s *Store) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Patience)
	stop := context.AfterFunc(s.ended, cancel)
	return ctx, func() { stop(); cancel() }
}

// settleAll applies all acks that wait.
func (s *Store) settleAll() error {
	for more := true; more; {
		err := s.patiently(func(ctx context.Context) (err error) {
			more, err = s.applyAcks(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// judge puts an error of the database into the contract's words and notes
// whether the database answers.
func (s *Store) judge(err error) error {
	err = translate(err)
	answers := err == nil || !errors.Is(err, store.ErrStopped) || errors.Is(err, ErrUnconfirmed)
	s.mu.Lock()
	was := s.down
	if s.down = nil; !answers {
		s.down = fmt.Errorf("%w: %w", err, store.ErrPassing)
	}
	s.mu.Unlock()
	switch {
	case was == nil && !answers:
		s.opts.Log.Error("the database does not take writes, retrying", "error", err)
	case was != nil && answers:
		s.opts.Log.Info("the database answers again")
	}
	return err
}
