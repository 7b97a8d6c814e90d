package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/posthorn/posthorn/server/store"
)

// settleStep bounds how many envelopes one round of acks deletes, so that
// appends never wait long behind a device that empties a full mailbox.
const settleStep = 4096

// Ack notes acks; the committer applies them a moment later. See store.Store.
func (s *Store) Ack(ctx context.Context, acks []store.BoxSeq) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.failure(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range acks {
		h, err := s.head(a.Box)
		if missing(err) {
			continue
		}
		if err != nil {
			return err
		}
		if seq := min(a.Seq, h.durable); seq >= h.first && seq > s.acks[a.Box] {
			s.acks[a.Box] = seq
		}
	}
	return ctx.Err()
}

// applyAcks deletes what has been acked, in one batch that nobody waits for:
// a crash that loses it only means that a device gets envelopes twice. It
// reports whether more is left to do.
func (s *Store) applyAcks() (more bool) {
	if s.failure() != nil {
		return false
	}
	s.mu.Lock()
	idle := len(s.acks) == 0
	s.mu.Unlock()
	if idle {
		return false
	}
	t := s.begin()
	s.mu.Lock()
	more, err := t.settleAll()
	s.mu.Unlock()
	if err == nil {
		err = t.land()
	}
	if err != nil {
		s.stop(err)
		return false
	}
	return more
}

// settleAll applies waiting acks up to the bound of one round.
func (t *txn) settleAll() (more bool, err error) {
	budget := settleStep
	for box := range t.s.acks {
		if budget <= 0 {
			return true, nil
		}
		h, err := t.head(box)
		if missing(err) {
			delete(t.s.acks, box)
			continue
		}
		if err != nil {
			return false, err
		}
		n, err := t.settle(box, h, budget)
		if err != nil {
			return false, err
		}
		budget -= n
	}
	return len(t.s.acks) > 0, nil
}

// land applies a batch that need not be durable.
func (t *txn) land() error {
	f := t.finish()
	if !f.batch.Empty() {
		if err := t.s.db.Apply(f.batch, pebble.NoSync); err != nil {
			return err
		}
	}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for _, c := range f.heads {
		c.head.flights--
	}
	return f.batch.Close()
}

// settle deletes at most budget acked envelopes of a mailbox.
func (t *txn) settle(box store.Box, h *head, budget int) (n int, err error) {
	upto := t.s.acks[box]
	n, err = t.cut(box, h, func(m store.Msg, n int) bool { return m.Seq <= upto && n < budget })
	if err == nil && h.first > upto {
		delete(t.s.acks, box)
	}
	return n, err
}

// expire deletes at most budget envelopes that came before a time, counts them
// for the owner and returns how many. Acked ones are not counted.
func (t *txn) expire(box store.Box, before time.Time, budget int) (n int, err error) {
	h, err := t.head(box)
	if missing(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if t.s.acks[box] >= h.first {
		if _, err := t.settle(box, h, maxWrites*4); err != nil {
			return 0, err
		}
	}
	n, err = t.cut(box, h, func(m store.Msg, n int) bool { return m.At.Before(before) && n < budget })
	if err == nil && n > 0 {
		h.expired += uint64(n)
		t.change(box, h)
	}
	return n, err
}

// cut removes envelopes from the front of a mailbox for as long as take says
// so, and gives their room back. On an error it has changed nothing.
func (t *txn) cut(box store.Box, h *head, take func(m store.Msg, n int) bool) (n int, err error) {
	freed := make(map[store.Sender]share)
	minutes := make(map[uint64]uint64)
	var bytes uint64
	err = t.s.scan(box, h.first, h.durable, func(m store.Msg) bool {
		if !take(m, n) {
			return false
		}
		f := freed[m.Sender]
		f.add(len(m.Data))
		freed[m.Sender] = f
		bytes += uint64(len(m.Data))
		minutes[minuteOf(m.At)]++
		n++
		return true
	})
	if err != nil || n == 0 {
		return 0, err
	}
	if err := t.unshare(box, h, freed); err != nil {
		return 0, err
	}
	if err := t.released(minutes); err != nil {
		return 0, err
	}
	for seq := h.first; seq < h.first+uint64(n); seq++ {
		_ = t.batch.Delete(messageKey(box, seq), nil)
	}
	h.first += uint64(n)
	h.bytes -= min(h.bytes, bytes)
	if h.count() == 0 {
		h.shares = shares{known: true}
	}
	t.change(box, h)
	return n, nil
}

// unshare takes what was freed off the senders' shares.
func (t *txn) unshare(box store.Box, h *head, freed map[store.Sender]share) error {
	left := make(map[store.Sender]share, len(freed))
	for sender, f := range freed {
		had, err := t.share(box, h, sender)
		if err != nil {
			return err
		}
		if had.envelopes < f.envelopes || had.bytes < f.bytes {
			return damaged("sender share")
		}
		left[sender] = share{had.envelopes - f.envelopes, had.bytes - f.bytes}
	}
	for sender, v := range left {
		t.setShare(box, h, sender, v)
	}
	return nil
}

// drop replaces a mailbox by a tombstone.
func (t *txn) drop(box store.Box, h *head) error {
	if err := t.uncount(box, h); err != nil {
		return err
	}
	for _, kind := range []byte{keyMessage, keyShare} {
		from, to := boxRange(kind, box)
		if err := t.batch.DeleteRange(from, to, nil); err != nil {
			return err
		}
	}
	t.change(box, h)
	*h = head{first: 1, gone: true, flights: h.flights, changed: true, due: true}
	delete(t.s.acks, box)
	delete(t.s.nodes, box)
	return nil
}

// uncount takes all envelopes of a mailbox out of the counters. The engine has
// those of earlier batches; this batch's own were never released, since only
// durable ones are.
func (t *txn) uncount(box store.Box, h *head) error {
	t.touch(box, h)
	minutes := make(map[uint64]uint64)
	count := func(m store.Msg) bool {
		minutes[minuteOf(m.At)]++
		return true
	}
	if err := t.s.scan(box, h.first, h.before, count); err != nil {
		return err
	}
	if err := t.own(box, h.before, count); err != nil {
		return err
	}
	if err := t.released(minutes); err != nil {
		return err
	}
	t.opened(-1)
	return nil
}

// own calls visit for the envelopes above a number that this batch stores in a
// mailbox.
func (t *txn) own(box store.Box, above uint64, visit func(store.Msg) bool) error {
	prefix, _ := boxRange(keyMessage, box)
	for r := t.batch.Reader(); ; {
		kind, key, val, ok, err := r.Next()
		if err != nil || !ok {
			return err
		}
		if kind != pebble.InternalKeyKindSet || !bytes.HasPrefix(key, prefix) {
			continue
		}
		m, err := parseMessage(binary.BigEndian.Uint64(key[len(prefix):]), val)
		if err != nil {
			return err
		}
		if m.Seq > above {
			visit(m)
		}
	}
}
