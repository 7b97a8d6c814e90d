package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
)

// A mailbox that is less than a quarter full cannot hold more than a quarter of
// one sender, so nobody counts by sender there. When it gets fuller it becomes
// crowded: its envelopes are counted once, and from then on the table shares
// is kept, until it is down to an eighth. The distance between the two bounds
// how often a mailbox can be counted.

// crowd makes mailboxes crowded and counts them.
func (hs heads) crowd(ctx context.Context, tx pgx.Tx, boxes []store.Box) error {
	if len(boxes) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO posthorn.shares (box, sender, envelopes, size)
		SELECT box, sender, count(*), sum(octet_length(data)) FROM posthorn.envelopes WHERE box = ANY($1) GROUP BY box, sender`, bytesOf(boxes))
	for _, box := range boxes {
		hs[box].crowded, hs[box].changed = true, true
	}
	return err
}

// loadShares reads what senders have in crowded mailboxes.
func (hs heads) loadShares(ctx context.Context, tx pgx.Tx, boxes, senders [][]byte) error {
	if len(boxes) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT v.box, v.sender, v.envelopes, v.size FROM posthorn.shares AS v
		JOIN unnest($1::bytea[], $2::bytea[]) AS a(box, sender) ON v.box = a.box AND v.sender = a.sender`, boxes, senders)
	if err != nil {
		return err
	}
	var box, sender []byte
	var v share
	_, err = pgx.ForEachRow(rows, []any{&box, &sender, &v.count, &v.size}, func() error {
		if h := hs[store.Box(box)]; h.shares[store.Sender(sender)] == nil { // else it has changed since
			h.setShare(store.Sender(sender), share{count: v.count, size: v.size})
		}
		return nil
	})
	return err
}

func (h *head) setShare(sender store.Sender, v share) {
	if h.shares == nil {
		h.shares = make(map[store.Sender]*share)
	}
	h.shares[sender] = &v
}

// shareOf is what a sender has in a crowded mailbox; it has been looked up.
func (h *head) shareOf(sender store.Sender) *share {
	if h.shares[sender] == nil {
		h.setShare(sender, share{})
	}
	return h.shares[sender]
}

// unshare takes what was freed off the senders' shares.
func (hs heads) unshare(ctx context.Context, tx pgx.Tx, list []freed) error {
	var boxes, senders [][]byte
	for i := range list {
		if f := &list[i]; hs[f.box].crowded && hs[f.box].shares[f.sender] == nil {
			boxes, senders = append(boxes, f.box[:]), append(senders, f.sender[:])
		}
	}
	if err := hs.loadShares(ctx, tx, boxes, senders); err != nil {
		return err
	}
	for _, f := range list {
		h := hs[f.box]
		if !h.crowded {
			continue
		}
		v := h.shareOf(f.sender)
		if v.count < f.count || v.size < f.size {
			return damaged("sender share")
		}
		v.count, v.size, v.changed = v.count-f.count, v.size-f.size, true
	}
	return nil
}

// thin ends the crowding of mailboxes that are down to an eighth.
func (hs heads) thin(ctx context.Context, tx pgx.Tx, boxes map[store.Box]uint64) error {
	var down []store.Box
	for box := range boxes {
		h := hs[box]
		if count, size := h.quarter(); h.crowded && h.count() <= count/2 && h.size <= size/2 {
			h.crowded, h.changed, h.shares = false, true, nil
			down = append(down, box)
		}
	}
	if len(down) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `DELETE FROM posthorn.shares WHERE box = ANY($1)`, bytesOf(down))
	return err
}
