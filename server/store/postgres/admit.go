package postgres

import (
	"bytes"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posthorn/posthorn/server/store"
)

// admit stores groups for which a closer look is needed: repeats, mailboxes
// that are filling up, and those that are not there. It is one transaction.
func (s *Store) admit(ctx context.Context, c *pgxpool.Conn, groups []*group) error {
	groups = slices.Clone(groups)
	slices.SortStableFunc(groups, func(x, y *group) int { return bytes.Compare(x.box[:], y.box[:]) })
	verdicts := make(map[*group]error, len(groups))
	acked := make(map[store.Box]uint64)
	var hs heads
	err := begin(ctx, c, func(tx pgx.Tx) (err error) {
		for _, g := range groups {
			g.forget()
		}
		if hs, err = lockHeads(ctx, tx, boxesOf(groups)); err != nil {
			return err
		}
		if acked, err = s.settle(ctx, tx, hs, hs.boxes(), settleAtOnce); err != nil {
			return err
		}
		if err := lookUp(ctx, tx, groups); err != nil {
			return err
		}
		if err := hs.prepare(ctx, tx, groups); err != nil {
			return err
		}
		var fresh []*group
		for _, g := range groups {
			if verdicts[g] = hs.judge(g); verdicts[g] == nil {
				fresh = append(fresh, g)
			}
		}
		if err := insert(ctx, tx, fresh); err != nil {
			return err
		}
		return hs.save(ctx, tx)
	})
	if err != nil {
		for _, g := range groups {
			g.forget()
		}
		return err
	}
	s.settled(acked)
	for _, g := range groups {
		node := ""
		if h := hs[g.box]; h != nil {
			node = s.nodeOf(h.node, h.opened)
		}
		g.answer(node, verdicts[g])
	}
	return nil
}

// forget takes back the numbers that a transaction gave which did not commit.
func (g *group) forget() {
	for i := range g.items {
		if it := &g.items[i]; it.mine {
			it.seq, it.mine = 0, false
		}
	}
}

func boxesOf(groups []*group) (boxes []store.Box) {
	for _, g := range groups {
		boxes = append(boxes, g.box)
	}
	return boxes
}

func (hs heads) boxes() (boxes []store.Box) {
	for box := range hs {
		boxes = append(boxes, box)
	}
	return boxes
}

// lookUp asks whether envelopes of unknown outcome are stored.
func lookUp(ctx context.Context, tx pgx.Tx, groups []*group) error {
	var boxes, ids, senders [][]byte
	items := make(map[repeatKey][]*item)
	for _, g := range groups {
		for i := range g.items {
			it := &g.items[i]
			if it.asked && it.fresh() {
				boxes, ids, senders = append(boxes, g.box[:]), append(ids, it.env.ID[:]), append(senders, it.env.Sender[:])
				items[keyOf(&it.env)] = append(items[keyOf(&it.env)], it)
			}
		}
	}
	if len(boxes) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT e.box, e.sender, e.id, e.seq FROM posthorn.envelopes AS e
		JOIN unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS a(box, sender, id) ON e.box = a.box AND e.sender = a.sender AND e.id = a.id`,
		boxes, senders, ids)
	if err != nil {
		return err
	}
	var box, sender, id []byte
	var seq uint64
	_, err = pgx.ForEachRow(rows, []any{&box, &sender, &id, &seq}, func() error {
		for _, it := range items[repeatKey{store.Box(box), store.Sender(sender), store.EnvelopeID(id)}] {
			it.seq = seq
		}
		return nil
	})
	return err
}

// prepare finds out which mailboxes would be more than a quarter full, and what
// the senders of the groups have in them.
func (hs heads) prepare(ctx context.Context, tx pgx.Tx, groups []*group) error {
	type use struct{ count, size uint64 }
	adds := make(map[store.Box]use)
	for _, g := range groups {
		n, size := g.sum()
		adds[g.box] = use{adds[g.box].count + uint64(n), adds[g.box].size + uint64(size)}
	}
	var filling []store.Box
	for box, add := range adds {
		h := hs[box]
		if h == nil || h.gone || h.crowded || add.count == 0 {
			continue
		}
		if count, size := h.quarter(); h.count()+add.count > count || h.size+add.size > size {
			filling = append(filling, box)
		}
	}
	if err := hs.crowd(ctx, tx, filling); err != nil {
		return err
	}
	var boxes, senders [][]byte
	for _, g := range groups {
		if h := hs[g.box]; h == nil || !h.crowded {
			continue
		}
		for i := range g.items {
			boxes, senders = append(boxes, g.box[:]), append(senders, g.items[i].env.Sender[:])
		}
	}
	return hs.loadShares(ctx, tx, boxes, senders)
}

// judge numbers the new envelopes of a group if its mailbox has room for all of
// them, else it says why not.
func (hs heads) judge(g *group) error {
	h := hs[g.box]
	if h == nil || h.gone {
		for i := range g.items {
			g.items[i].seq = 0 // a number from before says nothing any more
			g.items[i].same = -1
		}
	}
	switch {
	case h == nil:
		return store.ErrNoBox
	case h.gone:
		return store.ErrGone
	case !h.fits(g):
		return store.ErrFull
	}
	n, size := g.sum()
	if n == 0 {
		return nil
	}
	for i := range g.items {
		it := &g.items[i]
		if !it.fresh() {
			continue
		}
		h.last++
		it.seq, it.mine = h.last, true
		if h.crowded {
			v := h.shareOf(it.env.Sender)
			v.count, v.size, v.changed = v.count+1, v.size+uint64(len(it.env.Data)), true
		}
	}
	h.size += uint64(size)
	h.changed = true
	return nil
}

// fits says whether a mailbox and the shares of the senders have room.
func (h *head) fits(g *group) bool {
	n, size := g.sum()
	if n == 0 {
		return true
	}
	if h.count()+uint64(n) > h.maxCount || h.size+uint64(size) > h.maxSize {
		return false
	}
	if !h.crowded {
		return true // with all groups of the batch it stays below a quarter
	}
	adds := make(map[store.Sender]share)
	for i := range g.items {
		if it := &g.items[i]; it.fresh() {
			add := adds[it.env.Sender]
			adds[it.env.Sender] = share{count: add.count + 1, size: add.size + uint64(len(it.env.Data))}
		}
	}
	maxCount, maxSize := h.quarter()
	for sender, add := range adds {
		if v := h.shareOf(sender); v.count+add.count > maxCount || v.size+add.size > maxSize {
			return false
		}
	}
	return true
}

// insert writes the envelopes that judge has numbered.
func insert(ctx context.Context, tx pgx.Tx, groups []*group) error {
	c := &columns{}
	for _, g := range groups {
		for i := range g.items {
			if it := &g.items[i]; it.mine {
				c.add(g, it, int64(it.seq))
			}
		}
	}
	if len(c.of) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO posthorn.envelopes (box, seq, at, id, sender, data)
		SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[])`,
		c.of, c.n, c.at, c.ids, c.senders, c.data)
	return err
}
