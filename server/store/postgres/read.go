package postgres

import (
	"bytes"
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
)

// readPage reads a mailbox and its head as they are at one moment. The window
// adds up sizes without reading what is stored, so that what does not fit is
// not sent.
const readPage = `
SELECT h.first, h.last, h.gone, m.seq, m.at, m.id, m.sender, m.data
FROM posthorn.heads AS h LEFT JOIN (
  SELECT * FROM (
    SELECT box, seq, at, id, sender, data, sum(octet_length(data)) OVER (ORDER BY seq) AS total, row_number() OVER (ORDER BY seq) AS place
    FROM (SELECT * FROM posthorn.envelopes WHERE box = $1 AND seq > $2 ORDER BY seq LIMIT $3) AS page
  ) AS counted WHERE place = 1 OR total <= $4
) AS m ON m.box = h.box
WHERE h.box = $1 ORDER BY m.seq`

// page is an answer of Read.
type page struct {
	msgs []store.Msg
	head uint64
}

// Read returns stored envelopes; see store.Store.
func (s *Store) Read(ctx context.Context, box store.Box, after uint64, max, maxBytes int) ([]store.Msg, uint64, error) {
	if s.isAside(box) {
		return nil, 0, errAside
	}
	lineage := s.lineageNow()
	p, err := ask(ctx, s, func(ctx context.Context) (page, error) {
		return s.readPage(ctx, box, after, max, maxBytes)
	})
	if err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	if lineage == s.lineage {
		s.heads.note(box, p.head)
	}
	s.mu.Unlock()
	return p.msgs, p.head, nil
}

func (s *Store) readPage(ctx context.Context, box store.Box, after uint64, most, mostBytes int) (p page, err error) {
	after = min(max(after, s.ackOf(box)), math.MaxInt64)
	rows, err := s.pool.Query(ctx, readPage, box[:], after, max(0, most), max(0, mostBytes))
	if err != nil {
		return p, err
	}
	defer rows.Close()
	there, gone := false, false
	var first uint64
	for rows.Next() {
		var seq *uint64
		var at *int64
		var id, sender, data []byte
		if err := rows.Scan(&first, &p.head, &gone, &seq, &at, &id, &sender, &data); err != nil {
			return p, err
		}
		if there = true; seq == nil {
			continue
		}
		if len(id) != 16 || len(sender) != 16 || *seq != max(after+1, first)+uint64(len(p.msgs)) {
			return p, damaged("a mailbox has a hole")
		}
		p.msgs = append(p.msgs, store.Msg{
			Seq: *seq, ID: store.EnvelopeID(id), Sender: store.Sender(sender), At: time.UnixMilli(*at).UTC(), Data: bytes.Clone(data),
		})
	}
	switch {
	case rows.Err() != nil:
		return p, rows.Err()
	case !there:
		return p, store.ErrNoBox
	case gone:
		return p, store.ErrGone
	case len(p.msgs) == 0 && most > 0 && max(after+1, first) <= p.head:
		return p, damaged("a mailbox holds less than its head counts")
	}
	return p, nil
}

// ask is call for what changes nothing, so that it may be asked again on
// another connection when one turns out to be dead.
func ask[T any](ctx context.Context, s *Store, f func(context.Context) (T, error)) (T, error) {
	return call(ctx, s, func(ctx context.Context) (T, error) {
		val, err := f(ctx)
		if err != nil && errors.Is(translate(err), store.ErrStopped) && ctx.Err() == nil {
			return f(ctx)
		}
		return val, err
	})
}

// transaction runs f in a transaction, again when the database has rolled it
// back for the sake of another.
func (s *Store) transaction(ctx context.Context, f func(pgx.Tx) error) (err error) {
	for range retries {
		err = s.transactOnce(ctx, f)
		if err == nil || !undone(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (s *Store) transactOnce(ctx context.Context, f func(pgx.Tx) error) error {
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	return begin(ctx, c, f)
}
