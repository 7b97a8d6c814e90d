package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
)

// contentTables hold what a server keeps.
var contentTables = []string{"heads", "envelopes", "shares", "directory", "pools", "pooled", "opened"}

// OpenTarget opens an empty database to move a server into it. Until Finish no
// server opens the database, unless it knows the id to be that of a complete
// move. What a move left that did not end is deleted. ErrNotEmpty, and the
// errors of Open.
func OpenTarget(ctx context.Context, url, id string, o Options) (*Store, error) {
	o.Move, o.target = id, true
	return Open(ctx, url, o)
}

// done comes before the id of a move that is complete.
const done = "done "

// settleMove prepares the database for a move, or ends one that is known to be
// complete. It runs with the row of about locked.
func settleMove(ctx context.Context, tx pgx.Tx, o Options) error {
	var moving string
	if err := tx.QueryRow(ctx, `SELECT moving FROM posthorn.about WHERE one`).Scan(&moving); err != nil {
		return err
	}
	complete := strings.HasPrefix(moving, done)
	switch {
	case o.target && (moving == "" || complete):
		if err := wantEmpty(ctx, tx); err != nil {
			return err
		}
		return setMoving(ctx, tx, o.Move)
	case o.target:
		for _, table := range contentTables {
			if _, err := tx.Exec(ctx, `DELETE FROM posthorn.`+table); err != nil {
				return err
			}
		}
		return setMoving(ctx, tx, o.Move)
	case o.Move != "" && moving != o.Move && moving != done+o.Move:
		return ErrElsewhere
	case moving == "" || complete:
		return nil
	case moving == o.Move:
		return setMoving(ctx, tx, done+o.Move)
	}
	return ErrMoving
}

func setMoving(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, `UPDATE posthorn.about SET moving = $1 WHERE one`, id)
	return err
}

// wantEmpty wants a database that no server has used.
func wantEmpty(ctx context.Context, tx pgx.Tx) error {
	for _, table := range contentTables {
		var used bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM posthorn.`+table+`)`).Scan(&used); err != nil {
			return err
		}
		if used && table != "opened" {
			return ErrNotEmpty
		}
	}
	return nil
}

// Finish ends a move into the database: servers may open it.
func (s *Store) Finish(ctx context.Context) error {
	return s.do(ctx, func(ctx context.Context) error {
		n, err := s.exec(ctx, `UPDATE posthorn.about SET moving = $2 WHERE one AND moving = $1`, s.opts.Move, done+s.opts.Move)
		if err == nil && n == 0 {
			return ErrMoving // another move has begun since
		}
		return err
	})
}

const (
	// loadRows and loadBytes bound what a Loader holds back.
	loadRows  = 2000
	loadBytes = 4 << 20
)

// Loader writes what it is shown into an empty store. It is a store.Visitor;
// Flush writes the rest.
type Loader struct {
	s    *Store
	ctx  context.Context
	rows map[string][][]any
	held int
	size int
	head []any // the row of the mailbox that comes now
	pool string
	next int64 // number of the next value of the pool
}

// Load makes a Loader.
func (s *Store) Load(ctx context.Context) *Loader {
	return &Loader{s: s, ctx: ctx, rows: make(map[string][][]any)}
}

// loadColumns are the columns that a Loader fills.
var loadColumns = map[string][]string{
	"heads":     {"box", "first", "last", "expired", "max_envelopes", "max_size", "gone", "size"},
	"envelopes": {"box", "seq", "at", "id", "sender", "data"},
	"directory": {"key", "ver", "val"},
	"pools":     {"pool", "first", "next"},
	"pooled":    {"pool", "n", "val"},
}

func (l *Loader) add(table string, size int, row ...any) error {
	l.rows[table] = append(l.rows[table], row)
	l.held++
	l.size += size
	if l.held >= loadRows || l.size >= loadBytes {
		return l.write()
	}
	return nil
}

// write copies what is held back into the tables, in one transaction.
func (l *Loader) write() error {
	ctx, cancel := context.WithTimeout(l.ctx, 10*l.s.opts.Patience)
	defer cancel()
	err := l.s.transaction(ctx, func(tx pgx.Tx) error {
		for table, rows := range l.rows {
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{"posthorn", table}, loadColumns[table], pgx.CopyFromRows(rows)); err != nil {
				return err
			}
		}
		return nil
	})
	clear(l.rows)
	l.held, l.size = 0, 0
	return l.s.judge(err)
}

// Flush writes what is held back.
func (l *Loader) Flush() error {
	if err := l.endMailbox(); err != nil {
		return err
	}
	if err := l.endPool(); err != nil {
		return err
	}
	return l.write()
}

// sizeAt is the place of the size in a row of heads.
const sizeAt = 7

// Mailbox writes a mailbox, once its envelopes were shown; see store.Visitor.
func (l *Loader) Mailbox(h store.Head) error {
	if err := l.endMailbox(); err != nil {
		return err
	}
	if h.Gone {
		h = store.Head{Box: h.Box, First: 1, Gone: true}
	}
	l.head = []any{append([]byte{}, h.Box[:]...), int64(h.First), int64(h.Last), int64(h.Expired),
		int64(h.Limits.Envelopes), int64(min(h.Limits.Bytes, 1<<63-1)), h.Gone, int64(0)}
	return nil
}

func (l *Loader) endMailbox() error {
	if l.head == nil {
		return nil
	}
	row := l.head
	l.head = nil
	return l.add("heads", 100, row...)
}

// Envelope writes an envelope; see store.Visitor.
func (l *Loader) Envelope(box store.Box, m store.Msg) error {
	l.head[sizeAt] = l.head[sizeAt].(int64) + int64(len(m.Data))
	return l.add("envelopes", len(m.Data)+100, append([]byte{}, box[:]...), int64(m.Seq), m.At.UnixMilli(),
		append([]byte{}, m.ID[:]...), append([]byte{}, m.Sender[:]...), append([]byte{}, m.Data...))
}

// Value writes a directory value; see store.Visitor.
func (l *Loader) Value(e store.Entry) error {
	return l.add("directory", len(e.Key)+len(e.Val), []byte(e.Key), int64(e.Ver), append([]byte{}, e.Val...))
}

// Pooled writes a value of a pool; see store.Visitor.
func (l *Loader) Pooled(pool string, val []byte) error {
	if pool != l.pool || l.next == 0 {
		if err := l.endPool(); err != nil {
			return err
		}
		l.pool, l.next = pool, 1
	}
	l.next++
	return l.add("pooled", len(pool)+len(val), []byte(pool), l.next-1, append([]byte{}, val...))
}

func (l *Loader) endPool() error {
	if l.next == 0 {
		return nil
	}
	next := l.next
	l.next = 0
	return l.add("pools", 100, []byte(l.pool), int64(1), next)
}
