package postgres

import (
	"bytes"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
)

// Walk shows a visitor everything that the store holds, as it is at one moment.
// Acks of this process that wait do not count as applied.
func (s *Store) Walk(ctx context.Context, v store.Visitor) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return s.judge(err)
	}
	defer c.Release()
	return s.judge(pgx.BeginTxFunc(ctx, c, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, unhurried); err != nil {
			return err
		}
		for _, part := range []func(context.Context, pgx.Tx, store.Visitor) error{walkMailboxes, walkValues, walkPools} {
			if err := part(ctx, tx, v); err != nil {
				return err
			}
		}
		return nil
	}))
}

// unhurried lets a transaction wait for its visitor. It keeps no row from others.
const unhurried = `SELECT set_config('idle_in_transaction_session_timeout', '0', true)`

// walkStep is how many mailboxes are read before their envelopes.
const walkStep = 500

func walkMailboxes(ctx context.Context, tx pgx.Tx, v store.Visitor) error {
	for after := []byte{}; ; {
		rows, err := tx.Query(ctx, `SELECT box, first, last, expired, max_envelopes, max_size, gone
			FROM posthorn.heads WHERE box > $1 ORDER BY box LIMIT $2`, after, walkStep)
		if err != nil {
			return err
		}
		var list []store.Head
		var box []byte
		var h store.Head
		_, err = pgx.ForEachRow(rows, []any{&box, &h.First, &h.Last, &h.Expired, &h.Limits.Envelopes, &h.Limits.Bytes, &h.Gone}, func() error {
			next := h
			if next.Box = store.Box(box); next.Gone {
				next = store.Head{Box: next.Box, Gone: true}
			}
			list = append(list, next)
			return nil
		})
		if err != nil || len(list) == 0 {
			return err
		}
		if err := walkEnvelopes(ctx, tx, v, list); err != nil {
			return err
		}
		last := list[len(list)-1].Box
		after = last[:]
	}
}

// walkEnvelopes shows mailboxes with their envelopes, all of which must be
// there.
func walkEnvelopes(ctx context.Context, tx pgx.Tx, v store.Visitor, list []store.Head) error {
	boxes := make([][]byte, len(list))
	for i := range list {
		boxes[i] = list[i].Box[:]
	}
	rows, err := tx.Query(ctx, `SELECT box, seq, at, id, sender, data FROM posthorn.envelopes WHERE box = ANY($1) ORDER BY box, seq`, boxes)
	if err != nil {
		return err
	}
	defer rows.Close()
	w := &place{v: v, rest: list}
	for rows.Next() {
		var box, id, sender, data []byte
		var m store.Msg
		var at int64
		if err := rows.Scan(&box, &m.Seq, &at, &id, &sender, &data); err != nil {
			return err
		}
		m.At, m.ID, m.Sender, m.Data = time.UnixMilli(at).UTC(), store.EnvelopeID(id), store.Sender(sender), data
		if err := w.upTo(box); err != nil {
			return err
		}
		if m.Seq != w.next {
			return damaged("a mailbox has a hole")
		}
		w.next++
		if err := v.Envelope(w.now.Box, m); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return w.upTo(nil)
}

// place is where a walk stands: in the mailbox now, with rest behind it.
type place struct {
	v    store.Visitor
	now  store.Head
	next uint64 // number of its next envelope; 0: in none yet
	rest []store.Head
}

// upTo ends mailboxes and begins the next ones until it stands in box; nil: to
// the end.
func (w *place) upTo(box []byte) error {
	for w.next == 0 || box == nil || !bytes.Equal(box, w.now.Box[:]) {
		if w.next > 0 && !w.now.Gone && w.next != w.now.Last+1 {
			return damaged("a mailbox holds less than its head counts")
		}
		if len(w.rest) == 0 {
			if box == nil {
				return nil
			}
			return damaged("envelopes of no mailbox")
		}
		w.now, w.rest = w.rest[0], w.rest[1:]
		w.next = max(1, w.now.First)
		if err := w.v.Mailbox(w.now); err != nil {
			return err
		}
	}
	return nil
}

func walkValues(ctx context.Context, tx pgx.Tx, v store.Visitor) error {
	rows, err := tx.Query(ctx, `SELECT key, ver, val FROM posthorn.directory ORDER BY key`)
	if err != nil {
		return err
	}
	var key, val []byte
	var ver uint64
	_, err = pgx.ForEachRow(rows, []any{&key, &ver, &val}, func() error {
		return v.Value(store.Entry{Key: string(key), Val: val, Ver: ver})
	})
	return err
}

func walkPools(ctx context.Context, tx pgx.Tx, v store.Visitor) error {
	rows, err := tx.Query(ctx, `SELECT pool, val FROM posthorn.pooled ORDER BY octet_length(pool), pool, n`)
	if err != nil {
		return err
	}
	var pool, val []byte
	_, err = pgx.ForEachRow(rows, []any{&pool, &val}, func() error { return v.Pooled(string(pool), val) })
	return err
}
