package postgres

import (
	"bytes"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
)

// head is a row of the table heads that a transaction has locked.
type head struct {
	box               store.Box
	first, last       uint64
	size              uint64
	expired           uint64
	maxCount, maxSize uint64 // defaults put in
	gone, crowded     bool
	node              string
	opened            []byte
	changed           bool
	shares            map[store.Sender]*share // of a crowded mailbox: those looked up
}

// share is what one sender has in one mailbox.
type share struct {
	count, size uint64
	changed     bool
}

func (h *head) count() uint64 { return h.last + 1 - h.first }

// quarter is what one sender may have.
func (h *head) quarter() (count, size uint64) {
	return max(1, h.maxCount/store.SenderShare), h.maxSize / store.SenderShare
}

// heads are the locked mailboxes of one transaction.
type heads map[store.Box]*head

// lockHeads locks and reads mailboxes, always in the same order, so that no two
// transactions wait for each other. Those that do not exist are not in it.
func lockHeads(ctx context.Context, tx pgx.Tx, boxes []store.Box) (heads, error) {
	rows, err := tx.Query(ctx, `SELECT box, first, last, size, expired, max_envelopes, max_size, gone, crowded, node, opened
		FROM posthorn.heads WHERE box = ANY($1) ORDER BY box FOR UPDATE`, bytesOf(boxes))
	if err != nil {
		return nil, err
	}
	out := make(heads, len(boxes))
	var box []byte
	var h head
	_, err = pgx.ForEachRow(rows, []any{&box, &h.first, &h.last, &h.size, &h.expired, &h.maxCount, &h.maxSize,
		&h.gone, &h.crowded, &h.node, &h.opened}, func() error {
		found := h
		found.box, found.opened = store.Box(box), bytes.Clone(h.opened)
		found.maxCount, found.maxSize = orDefault(h.maxCount, store.DefaultEnvelopes), orDefault(h.maxSize, store.DefaultBytes)
		if found.first < 1 || found.first > found.last+1 {
			return damaged("mailbox head")
		}
		out[found.box] = &found
		return nil
	})
	return out, err
}

func orDefault(n, standard uint64) uint64 {
	if n == 0 {
		return standard
	}
	return n
}

// bytesOf gives mailboxes the form of an argument, without repeats.
func bytesOf(boxes []store.Box) [][]byte {
	boxes = slices.Clone(boxes)
	slices.SortFunc(boxes, func(a, b store.Box) int { return bytes.Compare(a[:], b[:]) })
	boxes = slices.Compact(boxes)
	out := make([][]byte, len(boxes))
	for i := range boxes {
		out[i] = boxes[i][:]
	}
	return out
}

// save writes what has changed.
func (hs heads) save(ctx context.Context, tx pgx.Tx) error {
	var boxes, crowd, senders [][]byte
	var first, last, size, expired, counts, sizes []int64
	var crowded []bool
	for _, h := range hs {
		if h.changed {
			boxes, crowded = append(boxes, h.box[:]), append(crowded, h.crowded)
			first, last = append(first, int64(h.first)), append(last, int64(h.last))
			size, expired = append(size, int64(h.size)), append(expired, int64(h.expired))
		}
		for sender, v := range h.shares {
			if h.crowded && v.changed {
				crowd, senders = append(crowd, h.box[:]), append(senders, bytes.Clone(sender[:]))
				counts, sizes = append(counts, int64(v.count)), append(sizes, int64(v.size))
			}
		}
	}
	if len(boxes) > 0 {
		_, err := tx.Exec(ctx, `UPDATE posthorn.heads AS h SET first = b.first, last = b.last, size = b.size, expired = b.expired, crowded = b.crowded
			FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[]) AS b(box, first, last, size, expired, crowded)
			WHERE h.box = b.box`, boxes, first, last, size, expired, crowded)
		if err != nil {
			return err
		}
	}
	if len(crowd) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO posthorn.shares (box, sender, envelopes, size)
		SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[]) AS v(box, sender, envelopes, size)
		ON CONFLICT (box, sender) DO UPDATE SET envelopes = excluded.envelopes, size = excluded.size`, crowd, senders, counts, sizes)
	return err
}

// cut removes everything up to a number from the front of each mailbox and
// gives the room back. The numbers are between first and last.
func (hs heads) cut(ctx context.Context, tx pgx.Tx, upto map[store.Box]uint64) error {
	var boxes [][]byte
	var seqs []int64
	gone := make(map[store.Box]uint64, len(upto)) // how many were there
	for box, seq := range upto {
		if h := hs[box]; h != nil && !h.gone && seq >= h.first {
			boxes, seqs = append(boxes, box[:]), append(seqs, int64(seq))
			gone[box] = seq + 1 - h.first
		}
	}
	if len(boxes) == 0 {
		return nil
	}
	freed, err := remove(ctx, tx, boxes, seqs)
	if err != nil {
		return err
	}
	if err := hs.unshare(ctx, tx, freed); err != nil {
		return err
	}
	for _, f := range freed {
		h := hs[f.box]
		if gone[f.box] < f.count || h.size < f.size {
			return damaged("a mailbox holds more than its head counts")
		}
		gone[f.box] -= f.count
		h.size -= f.size
	}
	for box, missing := range gone {
		if missing > 0 {
			return damaged("a mailbox holds less than its head counts")
		}
		hs[box].first, hs[box].changed = upto[box]+1, true
	}
	return hs.thin(ctx, tx, gone)
}

// freed is what removed envelopes of one sender gave back.
type freed struct {
	box         store.Box
	sender      store.Sender
	count, size uint64
}

func remove(ctx context.Context, tx pgx.Tx, boxes [][]byte, seqs []int64) (out []freed, err error) {
	rows, err := tx.Query(ctx, `WITH cut AS (
			DELETE FROM posthorn.envelopes AS e USING unnest($1::bytea[], $2::bigint[]) AS a(box, upto)
			WHERE e.box = a.box AND e.seq <= a.upto RETURNING e.box, e.sender, octet_length(e.data) AS size)
		SELECT box, sender, count(*), sum(size)::bigint FROM cut GROUP BY box, sender`, boxes, seqs)
	if err != nil {
		return nil, err
	}
	var box, sender []byte
	var f freed
	_, err = pgx.ForEachRow(rows, []any{&box, &sender, &f.count, &f.size}, func() error {
		out = append(out, freed{store.Box(box), store.Sender(sender), f.count, f.size})
		return nil
	})
	return out, err
}
