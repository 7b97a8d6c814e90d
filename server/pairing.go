package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/server/store"
)

// Pairings lie in a fixed number of records, several in each, so that any node
// finds them and strangers can never make the store grow beyond a bound:
//
//	pairing/BUCKET   u8 count ‖ count × (slot[16] ‖ u64 opened (ms) ‖ u8 count ‖ count × v16(message))
//
// What is over goes with the next write to its record. The records are written
// with Note: whoever loses a pairing begins another one.

const (
	// pairingBuckets and pairingsInBucket bound how many pairings there are at a
	// time, and so what they take: 256 MiB, if somebody tries hard.
	pairingBuckets   = 2048
	pairingsInBucket = 4

	slotSize = 16
)

// pairing is a slot with its messages.
type pairing struct {
	slot     [slotSize]byte
	opened   uint64 // ms
	messages [][]byte
}

// bytes is how much all messages have together.
func (p pairing) bytes() (n int) {
	for _, m := range p.messages {
		n += len(m)
	}
	return n
}

type pairings []pairing

func (all pairings) marshal() []byte {
	b := []byte{byte(len(all))}
	for _, p := range all {
		b = append(b, p.slot[:]...)
		b = binary.BigEndian.AppendUint64(b, p.opened)
		b = append(b, byte(len(p.messages)))
		for _, m := range p.messages {
			b = codec.AppendV16(b, m)
		}
	}
	return b
}

func parsePairings(b []byte) (all pairings, err error) {
	r := codec.NewReader(b)
	count := int(r.U8())
	for range min(count, pairingsInBucket) {
		p := pairing{}
		r.Copy(p.slot[:])
		p.opened = r.U64()
		messages := int(r.U8())
		for range min(messages, api.PairingMessages) {
			p.messages = append(p.messages, r.V16(api.MaxPairingMessage))
		}
		if messages > api.PairingMessages || p.bytes() > api.MaxPairing {
			return nil, errRecord
		}
		all = append(all, p)
	}
	if !r.Done() || count > pairingsInBucket {
		return nil, errRecord
	}
	return all, nil
}

// live drops what is over. A slot from the future is another node's, whose
// clock is ahead.
func (all pairings) live(now time.Time) (kept pairings) {
	for _, p := range all {
		if now.Sub(time.UnixMilli(int64(p.opened))) < api.PairingLife {
			kept = append(kept, p)
		}
	}
	return kept
}

// find is the place of a slot, or -1.
func (all pairings) find(slot [slotSize]byte) int {
	for i, p := range all {
		if p.slot == slot {
			return i
		}
	}
	return -1
}

func pairingKey(slot [slotSize]byte) string {
	return "pairing/" + fmt.Sprintf("%03x", binary.BigEndian.Uint16(slot[:])%pairingBuckets)
}

// pairingService is the meeting place of two devices with one code.
type pairingService struct{ store store.Store }

// PostPairing leaves a message. The same one may be left again.
func (s *pairingService) PostPairing(ctx context.Context, request *posthornv1.PostPairingRequest) (*posthornv1.PostPairingResponse, error) {
	var slot [slotSize]byte
	message, index := request.GetMessage(), request.GetIndex()
	if !copyExactly(slot[:], request.GetSlot()) || index >= api.PairingMessages || len(message) == 0 || len(message) > api.MaxPairingMessage {
		return nil, badPairing()
	}
	now := clock.Now()
	for {
		all, version, err := s.bucket(ctx, slot, now)
		if err != nil {
			return nil, err
		}
		next, err := all.with(slot, int(index), message, now)
		if err != nil {
			return nil, err
		}
		if next == nil {
			return &posthornv1.PostPairingResponse{}, nil
		}
		_, err = s.store.Note(ctx, pairingKey(slot), version, next.marshal())
		if err == nil || !errors.Is(err, store.ErrVersion) {
			return &posthornv1.PostPairingResponse{}, stored(err)
		}
	}
}

// with adds a message; nil when it is there already. The error is a refusal.
func (all pairings) with(slot [slotSize]byte, index int, message []byte, now time.Time) (pairings, error) {
	at := all.find(slot)
	if at < 0 {
		switch {
		case index > 0:
			return nil, unknownPairing()
		case len(all) >= pairingsInBucket:
			return nil, pairingsFull()
		}
		return append(all, pairing{slot, uint64(now.UnixMilli()), [][]byte{message}}), nil
	}
	p := &all[at]
	switch {
	case index < len(p.messages) && bytes.Equal(p.messages[index], message):
		return nil, nil
	case index < len(p.messages):
		return nil, pairingTaken()
	case index > len(p.messages) || p.bytes()+len(message) > api.MaxPairing:
		return nil, badPairing()
	}
	p.messages = append(p.messages, message)
	return all, nil
}

// FetchPairing returns a message, or nothing while it is not there.
func (s *pairingService) FetchPairing(ctx context.Context, request *posthornv1.FetchPairingRequest) (*posthornv1.FetchPairingResponse, error) {
	var slot [slotSize]byte
	if !copyExactly(slot[:], request.GetSlot()) || request.GetIndex() >= api.PairingMessages {
		return nil, badPairing()
	}
	all, _, err := s.bucket(ctx, slot, clock.Now())
	if err != nil {
		return nil, err
	}
	at := all.find(slot)
	if at < 0 {
		return nil, unknownPairing()
	}
	answer := &posthornv1.FetchPairingResponse{}
	if i := int(request.GetIndex()); i < len(all[at].messages) {
		answer.Message = all[at].messages[i]
	}
	return answer, nil
}

// bucket is what is live beside a slot.
func (s *pairingService) bucket(ctx context.Context, slot [slotSize]byte, now time.Time) (pairings, uint64, error) {
	value, version, err := s.store.Get(ctx, pairingKey(slot))
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, storageFailed(err)
	}
	all, err := parsePairings(value)
	if err != nil {
		return nil, 0, storageFailed(err)
	}
	return all.live(now), version, nil
}

func badPairing() error {
	return badRequest(reject.New("V-236", ErrRequest, "pairing"), "a slot is 16 bytes, and a pairing four messages in order of 1 to 16,384 bytes, 32,768 together")
}

func unknownPairing() error {
	return refusal{
		code: connect.CodeNotFound, reason: api.ReasonPairingUnknown, text: "no device is waiting under this code",
		hint: "the code is good for ten minutes and for one device; ask the new device for another",
	}.err(nil)
}

func pairingTaken() error {
	return refusal{
		code: connect.CodeAlreadyExists, reason: api.ReasonPairingTaken, text: "somebody has answered under this code already; nothing was changed",
		hint: "begin again with a new code",
	}.err(reject.New("V-237", ErrTaken, "pairing"))
}

func pairingsFull() error {
	return refusal{
		code: connect.CodeResourceExhausted, reason: api.ReasonPairingFull, text: "too many devices are being linked here right now",
		hint: "try again in some minutes", retry: time.Minute,
	}.err(reject.New("V-238", ErrLimited, "pairings"))
}

// checkPairings reads a record of pairings.
func checkPairings(value []byte) error {
	if _, err := parsePairings(value); err != nil {
		return errors.New("a record of pairings cannot be read")
	}
	return nil
}
