package verification

import (
	"bytes"
	"errors"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
)

// Error sentinels. Each refusal wraps one.
var (
	// ErrCode: a text is none of the codes that this package makes.
	ErrCode = errors.New("verification: not a verification code")
	// ErrFrame: bytes are not an offer, an opening or a stored run.
	ErrFrame = errors.New("verification: malformed step")
	// ErrOrder: a step came that is not the next one of its run.
	ErrOrder = errors.New("verification: not the next step")
	// ErrCommitment: the other side opened another nonce than it was bound to.
	ErrCommitment = errors.New("verification: the commitment does not open; somebody may be in between")
	// ErrExpired: the run began too long ago.
	ErrExpired = errors.New("verification: the run took too long")
)

// Person is what is verified about somebody: the name that others call them by
// and the account behind it.
type Person struct {
	Name    account.Name
	Account account.ID
}

// marshal is v16(name) ‖ accountId.
func (p Person) marshal() []byte {
	return append(codec.AppendV16(nil, []byte(p.Name)), p.Account[:]...)
}

// ordered puts two people in one order, whoever looks.
func ordered(a, b Person) (first, second []byte) {
	first, second = a.marshal(), b.marshal()
	if bytes.Compare(first, second) > 0 {
		return second, first
	}
	return first, second
}
