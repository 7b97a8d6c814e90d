package server

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/server/store"
)

// A store that was restored from a backup has gone back in time: it gives out
// numbers again that it gave to other envelopes before. A device that says "up
// to 50 is stored here" may mean the first 50, and the server would delete
// the second one unread. So a number on the wire is
//
//	u32 incarnation ‖ u32 number in the mailbox
//
// Each restore takes a higher incarnation. An ack with another one than the
// server's is about envelopes that are gone, and does nothing. Devices see a
// number that only grows; they drop by id what they had before.
//
//	cluster/incarnation    u32, 0 when there is no such record
const incarnationKey = "cluster/incarnation"

func parseIncarnation(b []byte) (n uint32, err error) {
	reader := codec.NewReader(b)
	if n = reader.U32(); !reader.Done() {
		return 0, errRecord
	}
	return n, nil
}

func marshalIncarnation(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// readIncarnation also returns the version of the record, 0 for none.
func readIncarnation(ctx context.Context, s store.Store) (n uint32, version uint64, err error) {
	value, version, err := s.Get(ctx, incarnationKey)
	if errors.Is(err, store.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	n, err = parseIncarnation(value)
	return n, version, err
}

// MarkRestored takes a higher incarnation for a store that was restored from a
// backup, before a server runs on it. The time makes it higher than those of
// other restores of the same backup. The keys that nodes share are drawn anew,
// so that no token or challenge of the time after the backup is good.
func MarkRestored(ctx context.Context, s store.Store, now time.Time) error {
	before, version, err := readIncarnation(ctx, s)
	if err != nil {
		return err
	}
	next := max(before+1, uint32(now.Unix()))
	if _, err := s.CAS(ctx, incarnationKey, version, marshalIncarnation(next)); err != nil {
		return err
	}
	_, version, err = s.Get(ctx, keysKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.CAS(ctx, keysKey, version, freshKeys(now).marshal())
	return err
}

// numbering turns numbers of the store into those on the wire. No restore
// happens under a server that runs, so it asks the store once.
type numbering struct {
	store store.Store

	mu    sync.Mutex
	known bool
	n     uint32
}

func (n *numbering) incarnation(ctx context.Context) (uint32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known {
		return n.n, nil
	}
	read, _, err := readIncarnation(ctx, n.store)
	if err == nil {
		n.n, n.known = read, true
	}
	return read, err
}

// outward is a number as the wire has it. A mailbox never gets to 2^32.
func (n *numbering) outward(ctx context.Context, seq uint64) (uint64, error) {
	incarnation, err := n.incarnation(ctx)
	if err == nil && seq>>32 != 0 {
		err = errRecord
	}
	return uint64(incarnation)<<32 | seq, err
}

// inward is the reverse. A number of another incarnation is 0, below the first
// of every mailbox.
func (n *numbering) inward(ctx context.Context, wire uint64) (uint64, error) {
	incarnation, err := n.incarnation(ctx)
	if err != nil || uint32(wire>>32) != incarnation {
		return 0, err
	}
	return wire & (1<<32 - 1), nil
}
