package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posthorn/posthorn/server/store"
)

// retries is how often a batch is tried again that the database has rolled
// back, or that never reached it.
const retries = 8

// runFlusher commits what is queued, batch by batch, until the store closes.
func (s *Store) runFlusher() {
	for {
		b := s.next()
		if b == nil {
			return
		}
		b.flush()
		for _, w := range b.writes {
			s.room.give(w.size)
			close(w.done)
		}
	}
}

// next waits for a write and takes in whatever else has queued since.
func (s *Store) next() *batch {
	b := &batch{s: s, keys: make(map[repeatKey]*write)}
	if w := s.held; w != nil {
		s.held = nil
		b.take(w)
	} else {
		select {
		case w := <-s.queue:
			b.take(w)
		case <-s.quit: // nobody queues any more
			return nil
		}
	}
	for !b.full() {
		select {
		case w := <-s.queue:
			if b.repeats(w) {
				s.held = w // what it repeats must have its number first
				return b
			}
			b.take(w)
		default:
			return b
		}
	}
	return b
}

// batch is what is committed together.
type batch struct {
	s      *Store
	writes []*write
	count  int
	size   int
	keys   map[repeatKey]*write // every envelope in it

	lineage uint64 // of the store, when repeats were looked up
}

func (b *batch) full() bool { return b.count >= maxBatch || b.size >= maxBatchBytes }

func (b *batch) take(w *write) {
	b.writes = append(b.writes, w)
	b.count += w.count
	b.size += w.size
	for _, g := range w.groups {
		for i := range g.items {
			b.keys[keyOf(&g.items[i].env)] = w
		}
	}
}

// repeats reports whether another call in the batch has one of the envelopes.
func (b *batch) repeats(w *write) bool {
	for _, g := range w.groups {
		for i := range g.items {
			if b.keys[keyOf(&g.items[i].env)] != nil {
				return true
			}
		}
	}
	return false
}

// flush commits the batch: what is plain with one statement, and what is not,
// after it, in a transaction that looks closer.
func (b *batch) flush() {
	if b.s.unconfirmed() { // since they queued
		for _, w := range b.writes {
			w.err = ErrUnconfirmed
		}
		return
	}
	plain, rest := b.sort()
	b.admit(append(rest, b.storePlain(plain)...))
}

// storePlain stores groups with one statement, those of damaged mailboxes apart
// from the others, and returns those that need a closer look.
func (b *batch) storePlain(groups []*group) (left []*group) {
	left, err := b.store(groups)
	if one, other := halves(groups, err); one != nil {
		return append(b.storePlain(one), b.storePlain(other)...)
	}
	b.conclude(groups, left, err)
	return left
}

// admit stores groups with a closer look, those of damaged mailboxes apart from
// the others.
func (b *batch) admit(groups []*group) {
	if len(groups) == 0 {
		return
	}
	err := b.insist(func(ctx context.Context, c *pgxpool.Conn) error {
		b.doubt(groups)
		return b.s.admit(ctx, c, groups)
	})
	if one, other := halves(groups, err); one != nil {
		b.admit(one)
		b.admit(other)
		return
	}
	b.conclude(groups, nil, err)
}

// sort looks up repeats, and parts the mailboxes that get nothing but new
// envelopes from the others.
func (b *batch) sort() (plain, rest []*group) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.lineage = b.s.lineage
	odd := make(map[store.Box]bool)
	var all []*group
	for _, w := range b.writes {
		for _, g := range w.groups {
			all = append(all, g)
			for i := range g.items {
				it := &g.items[i]
				if r, ok := b.s.repeats.find(&it.env); ok {
					it.seq, it.asked, it.old = r.seq, r.seq == 0, r.seq != 0
					odd[g.box] = true
				}
			}
		}
	}
	for _, g := range all {
		switch {
		case b.s.aside[g.box]:
			g.w.err = errAside
		case odd[g.box]:
			rest = append(rest, g)
		default:
			plain = append(plain, g)
		}
	}
	return plain, rest
}

// doubt takes back what sort found when the database was replaced since.
func (b *batch) doubt(groups []*group) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if b.lineage == b.s.lineage {
		return
	}
	for _, g := range groups {
		for i := range g.items {
			if it := &g.items[i]; it.old {
				it.seq, it.old, it.asked = 0, false, true
			}
		}
	}
}

// conclude notes what became of groups and answers those that failed. The
// groups in left are not through yet.
func (b *batch) conclude(groups, left []*group, err error) {
	sure := certain(err)
	if corrupt(err) {
		b.s.setAside(groups[0].box) // it is the only one; see halves
	}
	if err = b.s.judge(err); err != nil && !sure {
		err = fmt.Errorf("%w; %w", err, ErrUnknown)
	}
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	for _, g := range groups {
		switch {
		case err == nil:
			if !slices.Contains(left, g) {
				b.s.remember(g, b.lineage == b.s.lineage)
			}
		case !sure:
			b.s.remember(g, false)
			fallthrough
		default:
			g.w.err = err
		}
	}
}

// remember notes the numbers of a stored group, or that they are not known, or
// may be those of a database that was replaced.
func (s *Store) remember(g *group, stored bool) {
	for i := range g.items {
		it := &g.items[i]
		switch {
		case stored && it.seq != 0 && !it.old:
			s.repeats.note(&it.env, it.seq)
			s.heads.note(g.box, it.seq)
		case !stored && (it.fresh() || it.mine):
			s.repeats.note(&it.env, 0)
		}
	}
}

// insist runs f on a connection, again when the database has rolled it back or
// never saw it.
func (b *batch) insist(f func(context.Context, *pgxpool.Conn) error) (err error) {
	for try := range retries {
		if err = b.s.once(f); err == nil || !undone(err) {
			return err
		}
		time.Sleep(time.Duration(try*try) * time.Millisecond)
	}
	return err
}

// once runs f on a connection. When the database does not answer in time, the
// connection is cut, without a word to the database: a commit that waits for a
// standby must go on waiting, or it would be seen before it is safe.
func (s *Store) once(f func(context.Context, *pgxpool.Conn) error) error {
	ctx, cancel := s.patience(context.Background())
	defer cancel()
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	hangUp := func() { _ = c.Conn().PgConn().Conn().Close() }
	cut := time.AfterFunc(s.opts.Patience, hangUp)
	defer context.AfterFunc(s.ended, hangUp)()
	err = f(context.Background(), c)
	if !cut.Stop() {
		s.suspect()
	}
	if err != nil {
		return err
	}
	return confirmed(c.Conn())
}

// plainAppend raises the heads of mailboxes that are far from full and inserts
// the envelopes, for as many mailboxes as come. A mailbox that is not in its
// answer was left alone: it is unknown, dropped, or more than a quarter full,
// so that shares have to be looked at. The mailboxes come sorted, and are found
// one by one through the index, so that heads are locked in this order; where a
// database plans otherwise, it may have to break up a deadlock now and then.
const plainAppend = `
WITH b AS (
  SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS b(box, n, size)
), raised AS (
  UPDATE posthorn.heads AS h SET last = h.last + b.n, size = h.size + b.size
  FROM b
  WHERE h.box = b.box AND NOT h.gone AND NOT h.crowded
    AND h.last - h.first + 1 + b.n <= greatest(1, coalesce(nullif(h.max_envelopes, 0), $10) / $12)
    AND h.size + b.size <= coalesce(nullif(h.max_size, 0), $11) / $12
  RETURNING h.box, h.last - b.n AS base, h.node, h.opened
), stored AS (
  INSERT INTO posthorn.envelopes (box, seq, at, id, sender, data)
  SELECT raised.box, raised.base + e.n, e.at, e.id, e.sender, e.data
  FROM unnest($4::bytea[], $5::bigint[], $6::bigint[], $7::bytea[], $8::bytea[], $9::bytea[]) AS e(box, n, at, id, sender, data)
  JOIN raised ON raised.box = e.box
)
SELECT box, base, node, opened FROM raised`

// store runs plainAppend for groups and returns those that it left alone.
func (b *batch) store(groups []*group) (left []*group, err error) {
	if len(groups) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(groups, func(x, y *group) int { return bytes.Compare(x.box[:], y.box[:]) })
	rows := gather(groups)
	var stored map[store.Box]raised
	err = b.insist(func(ctx context.Context, c *pgxpool.Conn) (err error) {
		stored, err = rows.append(ctx, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	next := make(map[store.Box]uint64, len(stored))
	for _, g := range groups {
		r, ok := stored[g.box]
		if !ok {
			left = append(left, g)
			continue
		}
		if next[g.box] == 0 {
			next[g.box] = r.base + 1
		}
		n, _ := g.sum()
		g.number(next[g.box])
		next[g.box] += uint64(n)
		g.answer(b.s.nodeOf(r.node, r.opened), nil)
	}
	return left, nil
}

// raised is what the statement says of one mailbox.
type raised struct {
	base   uint64
	node   string
	opened []byte
}

// columns are the arguments of plainAppend: boxes in order, then envelopes.
type columns struct {
	boxes        [][]byte
	counts       []int64
	sizes        []int64
	of           [][]byte // the mailbox of each envelope
	n            []int64  // its place among the new ones of its mailbox, from 1
	at           []int64
	ids, senders [][]byte
	data         [][]byte
}

// gather lays groups, sorted by mailbox, out in columns.
func gather(groups []*group) *columns {
	c := &columns{}
	for _, g := range groups {
		_, size := g.sum()
		last := len(c.boxes) - 1
		if last < 0 || !bytes.Equal(c.boxes[last], g.box[:]) {
			c.boxes, c.counts, c.sizes = append(c.boxes, g.box[:]), append(c.counts, 0), append(c.sizes, 0)
			last++
		}
		for i := range g.items {
			if it := &g.items[i]; it.fresh() {
				c.counts[last]++
				c.add(g, it, c.counts[last])
			}
		}
		c.sizes[last] += size
	}
	return c
}

func (c *columns) add(g *group, it *item, n int64) {
	c.of = append(c.of, g.box[:])
	c.n = append(c.n, n)
	c.at = append(c.at, it.env.At.UnixMilli())
	c.ids = append(c.ids, it.env.ID[:])
	c.senders = append(c.senders, it.env.Sender[:])
	c.data = append(c.data, it.env.Data)
}

func (c *columns) append(ctx context.Context, conn *pgxpool.Conn) (map[store.Box]raised, error) {
	rows, err := conn.Query(ctx, plainAppend, c.boxes, c.counts, c.sizes, c.of, c.n, c.at, c.ids, c.senders, c.data,
		int64(store.DefaultEnvelopes), int64(store.DefaultBytes), int64(store.SenderShare))
	if err != nil {
		return nil, err
	}
	out := make(map[store.Box]raised, len(c.boxes))
	var box []byte
	var r raised
	_, err = pgx.ForEachRow(rows, []any{&box, &r.base, &r.node, &r.opened}, func() error {
		out[store.Box(box)] = raised{r.base, r.node, bytes.Clone(r.opened)}
		return nil
	})
	return out, err
}
