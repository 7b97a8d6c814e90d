package server

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/server/store"
)

// The store has one record of logins for each mailbox, which every node reads:
//
//	login/BOX    account[48] ‖ device[32] ‖ u8 (1: closed, 2: removed) ‖ u16 count ‖ count × token ‖ u16 count ‖ count × challenge ‖ seat
//	token        u64 ends (ms) ‖ SHA-256 of the token's text
//	seat         nothing, or u64 number ‖ value[16] ‖ u8 copied, and nothing more or before[16] ‖ signature[64]
//	challenge    u64 ends (ms) ‖ the first 16 bytes of a spent challenge
//
// A login changes it in one compare-and-swap, which spends the challenge and
// adds the token: of two that answer the same challenge at two nodes, one finds
// it spent. That is a Note, so that devices log in while a database has lost its
// standbys. A failover may then lose a token, whose device logs in again, and a
// spent challenge, whose proof would be good once more until the challenge ends,
// for somebody who has read it inside TLS. That a device is shut out is never
// lost: it is a CAS, and every Note before it is safe with it.

func loginKey(box store.Box) string { return "login/" + hex.EncodeToString(box[:]) }

const (
	// maxTokens is how many tokens of one device work at a time; a new login
	// beyond it ends the oldest.
	maxTokens = 8
	// maxSpent is how many spent challenges of one device are remembered. A
	// device that logs in more often than that within their life has to wait.
	maxSpent = 512
	// spentMargin is how long a spent challenge is remembered after its end,
	// which is how far the clocks of nodes may differ.
	spentMargin = 5 * time.Minute
)

// loginRecord is what the store has of one device's logins.
type loginRecord struct {
	who     caller // its box is the key of the record
	closed  bool   // the device is shut out: by the operator, or
	removed bool   // because its account has removed it, for good
	tokens  []timedHash
	spent   []timedID
	seat    seat
}

// timedHash is a token's hash with its end, timedID a spent challenge.
type (
	timedHash struct {
		ends uint64 // ms
		hash [32]byte
	}
	timedID struct {
		ends uint64 // ms
		id   [challengeBody]byte
	}
)

func (r loginRecord) marshal() []byte {
	b := append(append([]byte(nil), r.who.account[:]...), r.who.device[:]...)
	switch {
	case r.removed:
		b = append(b, 2)
	case r.closed:
		b = append(b, 1)
	default:
		b = append(b, 0)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.tokens)))
	for _, t := range r.tokens {
		b = append(binary.BigEndian.AppendUint64(b, t.ends), t.hash[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.spent)))
	for _, s := range r.spent {
		b = append(binary.BigEndian.AppendUint64(b, s.ends), s.id[:]...)
	}
	return append(b, r.seat.marshal()...)
}

func parseLoginRecord(b []byte) (r loginRecord, err error) {
	reader := codec.NewReader(b)
	reader.Copy(r.who.account[:])
	reader.Copy(r.who.device[:])
	closed := reader.U8()
	r.closed, r.removed = closed > 0, closed == 2
	for n := reader.U16(); n > 0 && !reader.Failed(); n-- {
		t := timedHash{ends: reader.U64()}
		reader.Copy(t.hash[:])
		r.tokens = append(r.tokens, t)
	}
	for n := reader.U16(); n > 0 && !reader.Failed(); n-- {
		s := timedID{ends: reader.U64()}
		reader.Copy(s.id[:])
		r.spent = append(r.spent, s)
	}
	seated, whole := readSeat(reader)
	r.seat = seated
	if !reader.Done() || closed > 2 || !whole {
		return loginRecord{}, errRecord
	}
	return r, nil
}

// forgetEnded drops what no longer matters.
func (r *loginRecord) forgetEnded(now time.Time) {
	r.tokens = slices.DeleteFunc(r.tokens, func(t timedHash) bool { return t.ends <= uint64(now.UnixMilli()) })
	r.spent = slices.DeleteFunc(r.spent, func(s timedID) bool { return s.ends <= uint64(now.Add(-spentMargin).UnixMilli()) })
}

var (
	// errSpent: the challenge has been used for a login already.
	errSpent = errors.New("server: challenge spent")
	// errTooManyLogins: the device logs in faster than its record forgets.
	errTooManyLogins = errors.New("server: too many logins of one device")
	// errClosed: the operator has shut the device out.
	errClosed = errors.New("server: device shut out")
	// errRemoved: the device is not on its account's roster any more.
	errRemoved = errors.New("server: device removed")
)

// admit spends a challenge and adds a token. errSpent, errTooManyLogins,
// errClosed, errRemoved.
func (r *loginRecord) admit(challenge []byte, token timedHash, now time.Time) error {
	if r.removed {
		return errRemoved
	}
	if r.closed {
		return errClosed
	}
	r.forgetEnded(now)
	s := timedID{ends: uint64(challengeEnds(challenge).UnixMilli())}
	copy(s.id[:], challenge)
	if slices.ContainsFunc(r.spent, func(o timedID) bool { return o.id == s.id }) {
		return errSpent
	}
	if len(r.spent) >= maxSpent {
		return errTooManyLogins
	}
	r.spent = append(r.spent, s)
	r.tokens = append(r.tokens, token)
	if over := len(r.tokens) - maxTokens; over > 0 {
		r.tokens = r.tokens[over:]
	}
	return nil
}

// readLogins is the record of a mailbox, and its version. store.ErrNotFound.
func readLogins(ctx context.Context, s store.Store, box store.Box) (loginRecord, uint64, error) {
	value, version, err := s.Get(ctx, loginKey(box))
	if err != nil {
		return loginRecord{}, 0, err
	}
	r, err := parseLoginRecord(value)
	r.who.box = box
	return r, version, err
}

// setter is CAS or Note of a store.
type setter func(ctx context.Context, key string, want uint64, val []byte) (ver uint64, err error)

// changeLogins applies a change to the record of a device until no other node
// comes in between. The change may refuse. set is the store's CAS, or Note for
// what a device does by itself.
func changeLogins(ctx context.Context, s store.Store, set setter, who caller, change func(*loginRecord) error) error {
	for {
		r, version, err := readLogins(ctx, s, who.box)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		r.who = who
		if err := change(&r); err != nil {
			return err
		}
		_, err = set(ctx, loginKey(who.box), version, r.marshal())
		if !errors.Is(err, store.ErrVersion) {
			return err
		}
	}
}
