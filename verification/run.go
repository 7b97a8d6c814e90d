package verification

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

// Run is one side of one comparison. A Run never changes; each step returns the
// next one, which has to be stored before the step's frame leaves.
type Run struct {
	role         Role
	mine, theirs side
	opening      Opening  // mine
	commitment   [48]byte // theirs; zero before their offer
	code         string   // empty before the end
	began        uint64   // Unix ms
}

// Format shows nothing of a run, whose nonce is secret until it is sent.
func (r *Run) Format(f fmt.State, _ rune) { secret.Redact(f) }

// Start begins a run with a peer. read fills a slice with random bytes; head is
// this side's view of the log.
func Start(mine, theirs Person, head []byte, now uint64, read func([]byte)) (*Run, Offer) {
	return begin(Starter, mine, theirs, head, now, read)
}

// Answer begins the other side of a run on its starter's offer.
func Answer(o Offer, mine, theirs Person, head []byte, now uint64, read func([]byte)) (*Run, Offer) {
	r, answer := begin(Responder, mine, theirs, head, now, read)
	r.theirs.head, r.commitment = o.Head, o.Commitment
	return r, answer
}

func begin(role Role, mine, theirs Person, head []byte, now uint64, read func([]byte)) (*Run, Offer) {
	r := &Run{role: role, mine: side{mine, append([]byte(nil), head...)}, theirs: side{person: theirs}, began: now}
	read(r.opening.Nonce[:])
	read(r.opening.Blind[:])
	return r, Offer{Commitment: r.mine.commit(role, r.opening), Head: r.mine.head}
}

// Role is which side this is.
func (r *Run) Role() Role { return r.role }

// Bound reports whether the peer's commitment is here.
func (r *Run) Bound() bool { return r.commitment != [48]byte{} }

// Code is the short code, empty until both sides have opened.
func (r *Run) Code() string { return r.code }

// TheirHead is the peer's view of the log. It counts as the peer's only once
// the codes were compared.
func (r *Run) TheirHead() []byte { return r.theirs.head }

// Expired reports whether the run began more than ten minutes ago, or in the
// future.
func (r *Run) Expired(now uint64) bool { return now < r.began || now-r.began > RunLife }

// TakeOffer gives the starter the peer's offer, and the starter's own opening
// to send. The peer is bound now. Errors: ErrOrder, ErrExpired.
func (r *Run) TakeOffer(o Offer, now uint64) (*Run, Opening, error) {
	if r.role != Starter || r.Bound() || r.code != "" {
		return nil, Opening{}, reject.New("V-249", ErrOrder, "an offer where none is due")
	}
	if r.Expired(now) {
		return nil, Opening{}, reject.New("V-251", ErrExpired, "")
	}
	next := *r
	next.theirs.head, next.commitment = o.Head, o.Commitment
	return &next, r.opening, nil
}

// TakeOpening ends the run: it checks the peer's opening against what the peer
// was bound to, and has the code. The responder's own opening, which may leave
// now and not before, is returned as well; the starter's has left already.
// Errors: ErrOrder, ErrExpired, ErrCommitment.
func (r *Run) TakeOpening(o Opening, now uint64) (*Run, Opening, error) {
	if !r.Bound() || r.code != "" {
		return nil, Opening{}, reject.New("V-249", ErrOrder, "an opening where none is due")
	}
	if r.Expired(now) {
		return nil, Opening{}, reject.New("V-251", ErrExpired, "")
	}
	expected := r.theirs.commit(r.role.other(), o)
	if subtle.ConstantTimeCompare(expected[:], r.commitment[:]) != 1 {
		return nil, Opening{}, reject.New("V-250", ErrCommitment, "")
	}
	next := *r
	if r.role == Starter {
		next.code = shortCode(r.mine, r.theirs, r.opening.Nonce, o.Nonce)
	} else {
		next.code = shortCode(r.theirs, r.mine, o.Nonce, r.opening.Nonce)
	}
	return &next, r.opening, nil
}

const runVersion = 1

// Marshal gives the stored form of the run. It holds the nonce, which is secret
// until it is sent.
func (r *Run) Marshal() []byte {
	b := []byte{runVersion, byte(r.role)}
	for _, s := range []side{r.mine, r.theirs} {
		b = codec.AppendV16(b, []byte(s.person.Name))
		b = append(b, s.person.Account[:]...)
		b = codec.AppendV16(b, s.head)
	}
	b = append(b, r.opening.Marshal()...)
	b = append(b, r.commitment[:]...)
	b = codec.AppendV16(b, []byte(r.code))
	return binary.BigEndian.AppendUint64(b, r.began)
}

// ParseRun reads a stored run strictly. Error: ErrFrame.
func ParseRun(b []byte) (*Run, error) {
	reader := codec.NewReader(b)
	version := reader.U8()
	r := &Run{role: Role(reader.U8())}
	for _, s := range []*side{&r.mine, &r.theirs} {
		s.person.Name = account.Name(reader.V16(64))
		reader.Copy(s.person.Account[:])
		s.head = append(s.head, reader.V16(MaxHead)...)
	}
	reader.Copy(r.opening.Nonce[:])
	reader.Copy(r.opening.Blind[:])
	reader.Copy(r.commitment[:])
	r.code = string(reader.V16(ShortDigits))
	r.began = reader.U64()
	whole := r.code == "" || len(onlyDigits(r.code)) == ShortDigits
	if !reader.Done() || version != runVersion || r.role != Starter && r.role != Responder || !whole {
		return nil, reject.New("V-247", ErrFrame, "not a stored run")
	}
	return r, nil
}
