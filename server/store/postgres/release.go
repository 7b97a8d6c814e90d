package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
)

const (
	// settleStep bounds how many envelopes one round of acks deletes, so that
	// appends never wait long behind a device that empties a full mailbox.
	settleStep = 4096
	// settleAtOnce is the bound where an answer hangs on what is acked: more than
	// a mailbox holds.
	settleAtOnce = 1 << 16
	// settleBoxes bounds the mailboxes of one round.
	settleBoxes = 1024
)

// Ack notes acks; the keeper applies them a moment later. Until then they are
// seen by this process. See store.Store.
func (s *Store) Ack(ctx context.Context, acks []store.BoxSeq) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	unknown := s.noteAcks(acks)
	if len(unknown) == 0 {
		return ctx.Err()
	}
	if err := s.learnHeads(ctx, unknown); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range unknown {
		if last := s.heads.last[a.Box]; last > 0 && !s.aside[a.Box] {
			s.acks[a.Box] = max(s.acks[a.Box], min(a.Seq, last))
		}
	}
	return nil
}

// noteAcks notes those that are surely of numbers that were given out, and
// returns the others.
func (s *Store) noteAcks(acks []store.BoxSeq) (unknown []store.BoxSeq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range acks {
		switch {
		case a.Seq == 0 || s.aside[a.Box]:
		case a.Seq <= s.heads.last[a.Box]:
			s.acks[a.Box] = max(s.acks[a.Box], a.Seq)
		default:
			unknown = append(unknown, a)
		}
	}
	return unknown
}

// learnHeads asks what numbers mailboxes have given out. It does not tell of
// those that are not there.
func (s *Store) learnHeads(ctx context.Context, acks []store.BoxSeq) error {
	boxes := make([]store.Box, len(acks))
	for i, a := range acks {
		boxes[i] = a.Box
	}
	lineage := s.lineageNow()
	found, err := ask(ctx, s, func(ctx context.Context) (map[store.Box]uint64, error) {
		rows, err := s.pool.Query(ctx, `SELECT box, last FROM posthorn.heads WHERE box = ANY($1) AND NOT gone`, bytesOf(boxes))
		if err != nil {
			return nil, err
		}
		found := make(map[store.Box]uint64)
		var box []byte
		var last uint64
		_, err = pgx.ForEachRow(rows, []any{&box, &last}, func() error {
			found[store.Box(box)] = last
			return nil
		})
		return found, err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for box, last := range found {
		if lineage == s.lineage {
			s.heads.note(box, last)
		}
	}
	return nil
}

// ackOf is the highest number of a mailbox that this process knows to be acked.
func (s *Store) ackOf(box store.Box) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acks[box]
}

// applyAcks deletes a bounded part of what has been acked, and reports whether
// more is left to do.
func (s *Store) applyAcks(ctx context.Context) (more bool, err error) {
	boxes := s.ackedBoxes()
	if len(boxes) == 0 {
		return false, nil
	}
	if err := s.applyTo(ctx, boxes); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acks) > 0, nil
}

// applyTo applies acks of mailboxes. It parts them as often as it takes to find
// the damaged ones, so that these do not hold up the others.
func (s *Store) applyTo(ctx context.Context, boxes []store.Box) error {
	err := s.applyTogether(ctx, boxes)
	switch {
	case !corrupt(err):
		return err
	case len(boxes) == 1:
		s.setAside(boxes[0])
		return nil
	}
	half := len(boxes) / 2
	if err := s.applyTo(ctx, boxes[:half]); err != nil {
		return err
	}
	return s.applyTo(ctx, boxes[half:])
}

func (s *Store) applyTogether(ctx context.Context, boxes []store.Box) error {
	var applied map[store.Box]uint64
	err := s.transaction(ctx, func(tx pgx.Tx) error {
		if err := s.locally(ctx, tx); err != nil {
			return err
		}
		hs, err := lockHeads(ctx, tx, boxes)
		if err != nil {
			return err
		}
		if applied, err = s.settle(ctx, tx, hs, boxes, settleStep); err != nil {
			return err
		}
		return hs.save(ctx, tx)
	})
	if err == nil {
		s.settled(applied)
	}
	return err
}

func (s *Store) ackedBoxes() (boxes []store.Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for box := range s.acks {
		if boxes = append(boxes, box); len(boxes) == settleBoxes {
			break
		}
	}
	return boxes
}

// settle deletes what is acked in locked mailboxes, at most budget envelopes,
// and returns up to where. Mailboxes that are gone count as settled. An ack
// above the head is of a state of the database that is no more: it is dropped,
// for what has these numbers now may be unread.
func (s *Store) settle(ctx context.Context, tx pgx.Tx, hs heads, boxes []store.Box, budget uint64) (map[store.Box]uint64, error) {
	applied, upto := make(map[store.Box]uint64), make(map[store.Box]uint64)
	for _, box := range boxes {
		acked := s.ackOf(box)
		h := hs[box]
		if h == nil || h.gone || acked < h.first || acked > h.last {
			if applied[box] = acked; h != nil && acked > h.last {
				s.headFell(box)
			}
			continue
		}
		if acked = min(acked, h.first+budget-1); acked >= h.first {
			applied[box], upto[box] = acked, acked
			budget -= acked + 1 - h.first
		}
	}
	return applied, hs.cut(ctx, tx, upto)
}

// settled forgets acks that were applied.
func (s *Store) settled(applied map[store.Box]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for box, seq := range applied {
		if s.acks[box] <= seq {
			delete(s.acks, box)
		}
	}
}

// Sweep expires old envelopes; see store.Store.
func (s *Store) Sweep(ctx context.Context, olderThan time.Time, budget int) (expired int, done bool, err error) {
	type swept struct {
		n    int
		done bool
	}
	out, err := commit(ctx, s, func(ctx context.Context) (swept, error) {
		s.sweep.Lock()
		defer s.sweep.Unlock()
		n, done, err := s.sweepOn(ctx, olderThan, budget)
		return swept{n, done}, err
	})
	return out.n, out.done, err
}

// sweepStep is how many mailboxes are looked at with one question.
const sweepStep = 1000

func (s *Store) sweepOn(ctx context.Context, before time.Time, budget int) (expired int, done bool, err error) {
	for {
		found, err := s.stale(ctx, before, max(1, min(budget, sweepStep)))
		if err != nil {
			return expired, false, err
		}
		if len(found) == 0 {
			s.sweep.from = nil
			return expired, true, nil
		}
		for _, f := range found {
			if f.due && !s.isAside(f.box) {
				n, err := s.expire(ctx, f.box, before, max(1, budget))
				switch {
				case corrupt(err):
					s.setAside(f.box)
				case err != nil:
					return expired, false, err
				}
				expired += n
				if budget -= n; budget <= 0 {
					return expired, false, nil // and look at this one again
				}
			}
			budget--
			s.sweep.from = append([]byte(nil), f.box[:]...)
		}
		if budget <= 0 {
			return expired, false, nil
		}
	}
}

// candidate is a mailbox that the sweeper came across. due: its oldest
// envelope came before the time.
type candidate struct {
	box store.Box
	due bool
}

// stale looks at mailboxes from where the last sweep ended.
func (s *Store) stale(ctx context.Context, before time.Time, most int) (out []candidate, err error) {
	rows, err := s.pool.Query(ctx, `SELECT h.box, coalesce(e.at < $2, false)
		FROM (SELECT box, first FROM posthorn.heads WHERE box > $1 ORDER BY box LIMIT $3) AS h
		LEFT JOIN posthorn.envelopes AS e ON e.box = h.box AND e.seq = h.first ORDER BY h.box`,
		append([]byte{}, s.sweep.from...), before.UnixMilli(), most)
	if err != nil {
		return nil, err
	}
	var box []byte
	var c candidate
	_, err = pgx.ForEachRow(rows, []any{&box, &c.due}, func() error {
		out = append(out, candidate{store.Box(box), c.due})
		return nil
	})
	return out, err
}

// expire deletes at most budget envelopes that came before a time from the
// front of a mailbox, counts them for the owner and returns how many. Acked
// ones are not counted.
func (s *Store) expire(ctx context.Context, box store.Box, before time.Time, budget int) (n int, err error) {
	var applied map[store.Box]uint64
	err = s.transaction(ctx, func(tx pgx.Tx) error {
		n = 0
		hs, err := lockHeads(ctx, tx, []store.Box{box})
		h := hs[box]
		if err != nil || h == nil || h.gone {
			return err
		}
		if applied, err = s.settle(ctx, tx, hs, []store.Box{box}, settleAtOnce); err != nil {
			return err
		}
		var younger *uint64
		err = tx.QueryRow(ctx, `SELECT min(seq) FROM (SELECT seq, at FROM posthorn.envelopes WHERE box = $1 ORDER BY seq LIMIT $3) AS f
			WHERE at >= $2`, box[:], before.UnixMilli(), budget).Scan(&younger)
		if err != nil {
			return err
		}
		upto := min(h.last, h.first+uint64(budget)-1)
		if younger != nil {
			upto = min(upto, *younger-1)
		}
		n = int(upto + 1 - h.first)
		if err := hs.cut(ctx, tx, map[store.Box]uint64{box: upto}); err != nil {
			return err
		}
		if n > 0 {
			h.expired, h.changed = h.expired+uint64(n), true
		}
		return hs.save(ctx, tx)
	})
	if err != nil {
		return 0, err
	}
	s.settled(applied)
	return n, nil
}
