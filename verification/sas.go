package verification

import (
	"crypto/sha512"
	"fmt"
	"math/big"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	// ShortDigits is the length of a short code.
	ShortDigits = 8
	// RunLife is how long a run may take, in milliseconds: ten minutes.
	RunLife = 10 * 60 * 1000
	// MaxHead is the longest log head that an offer carries, in bytes.
	MaxHead = 256

	commitContext = "posthorn/sas/commit/v1"
	shortContext  = "posthorn/sas/v1"
	nonceSize     = 32
)

// Role is a side of a run: the one who began it, or the one who answered.
type Role uint8

// The two roles.
const (
	Starter   Role = 'A'
	Responder Role = 'B'
)

// other is the opposite role.
func (r Role) other() Role { return Starter + Responder - r }

// Offer is the first step of either side: what it says its view of the log is,
// and a commitment to all it says. 48 bytes and the head.
type Offer struct {
	Commitment [48]byte
	Head       []byte // at most MaxHead bytes; this package only binds it
}

// Marshal gives the one encoding of the offer.
func (o Offer) Marshal() []byte {
	return codec.AppendV16(append([]byte(nil), o.Commitment[:]...), o.Head)
}

// ParseOffer reads an offer strictly. Error: ErrFrame.
func ParseOffer(b []byte) (o Offer, err error) {
	r := codec.NewReader(b)
	r.Copy(o.Commitment[:])
	o.Head = append(o.Head, r.V16(MaxHead)...)
	if !r.Done() {
		return Offer{}, reject.New("V-247", ErrFrame, "not an offer")
	}
	return o, nil
}

// Opening is the second step of either side: the nonce and the blinding that
// open its commitment. 64 bytes.
type Opening struct {
	Nonce, Blind [nonceSize]byte
}

// Marshal gives the one encoding of the opening.
func (o Opening) Marshal() []byte { return append(append([]byte(nil), o.Nonce[:]...), o.Blind[:]...) }

// ParseOpening reads an opening strictly. Error: ErrFrame.
func ParseOpening(b []byte) (o Opening, err error) {
	r := codec.NewReader(b)
	r.Copy(o.Nonce[:])
	r.Copy(o.Blind[:])
	if !r.Done() {
		return Opening{}, reject.New("V-247", ErrFrame, "not an opening")
	}
	return o, nil
}

// side is what one end says of itself in a run.
type side struct {
	person Person
	head   []byte
}

// message is m_A or m_B: v16(name) ‖ accountId ‖ v16(head).
func (s side) message() []byte { return codec.AppendV16(s.person.marshal(), s.head) }

// commit is SHA-384("posthorn/sas/commit/v1" ‖ role ‖ v16(m) ‖ R ‖ r).
func (s side) commit(role Role, o Opening) [48]byte {
	in := append([]byte(commitContext), byte(role))
	in = codec.AppendV16(in, s.message())
	in = append(in, o.Nonce[:]...)
	return sha512.Sum384(append(in, o.Blind[:]...))
}

// shortCode is SHA-384("posthorn/sas/v1" ‖ v16(m_A) ‖ v16(m_B) ‖ R_A ‖ R_B),
// its first 16 bytes modulo 10^8.
func shortCode(a, b side, ra, rb [nonceSize]byte) string {
	in := codec.AppendV16([]byte(shortContext), a.message())
	in = codec.AppendV16(in, b.message())
	in = append(in, ra[:]...)
	sum := sha512.Sum384(append(in, rb[:]...))
	n := new(big.Int).SetBytes(sum[:16])
	return fmt.Sprintf("%08d", n.Mod(n, big.NewInt(1e8)).Uint64())
}
