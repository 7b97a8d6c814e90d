package server

import (
	"encoding/binary"
	"errors"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// seat is how far a device has come with its logins. A device notes it before
// it logs in and the server when it does, so a profile that was put back from a
// backup, or copied, is behind at its first login after the other has had one.
type seat struct {
	number uint64 // logins so far
	value  [api.SeatSize]byte
	copied bool // a copy that was behind has tried to log in since the last login

	before    [api.SeatSize]byte               // what the device said of the login before the last one
	signature [account.ECDSASignatureSize]byte // its own, over that and value; zeros: an older program's
}

// marshal is the seat, or nothing before the first login with one.
func (s seat) marshal() []byte {
	if s == (seat{}) {
		return nil
	}
	b := binary.BigEndian.AppendUint64(nil, s.number)
	b = append(b, s.value[:]...)
	if s.copied {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	if s.signature == [account.ECDSASignatureSize]byte{} {
		return b
	}
	return append(append(b, s.before[:]...), s.signature[:]...)
}

// readSeat is the reverse.
func readSeat(r *codec.Reader) (s seat, ok bool) {
	if r.Failed() || r.Len() == 0 {
		return s, true
	}
	s.number = r.U64()
	r.Copy(s.value[:])
	copied := r.U8()
	s.copied = copied == 1
	if !r.Failed() && r.Len() > 0 {
		r.Copy(s.before[:])
		r.Copy(s.signature[:])
		return s, copied <= 1 && s.signature != [account.ECDSASignatureSize]byte{}
	}
	return s, copied <= 1 && s != seat{}
}

// shown is the last login as a device that is behind it may check it; nil: it
// was not signed.
func (s seat) shown() *posthornv1.Seat {
	if s.signature == [account.ECDSASignatureSize]byte{} {
		return nil
	}
	return &posthornv1.Seat{Number: s.number - 1, Value: s.before[:], Next: s.value[:], Signature: s.signature[:]}
}

// claim is what a device says of its seat, and what it wants next.
type claim struct {
	number      uint64
	value, next [api.SeatSize]byte
	signature   [account.ECDSASignatureSize]byte
}

// by reports whether a device has signed what is said of its seat. A device that
// says nothing signs nothing.
func (c claim) by(key *account.VerifyingKey, p proof) bool {
	return c == claim{} || key.VerifyECDSA(api.SeatBytes(p.account, p.device, c.number, c.value, c.next), c.signature[:]) == nil
}

// parseClaim reads the seat of a login. A device that says nothing has none.
func parseClaim(wire *posthornv1.Seat) (c claim, err error) {
	if wire == nil {
		return c, nil
	}
	c.number = wire.GetNumber()
	first := c.number == 0 && len(wire.GetValue()) == 0
	if !copyExactly(c.next[:], wire.GetNext()) || !copyExactly(c.signature[:], wire.GetSignature()) || !first && !copyExactly(c.value[:], wire.GetValue()) || c.number == 1<<64-1 {
		return claim{}, badRequest(reject.New("V-85", ErrRequest, "seat"), "a field of the seat has the wrong length")
	}
	return c, nil
}

// errCopied: the device is behind another copy of itself.
var errCopied = errors.New("server: a copy of the device has gone on")

// overtaken is errCopied with the seat of the copy that is ahead.
type overtaken struct{ ahead seat }

func (o *overtaken) Error() string { return errCopied.Error() }
func (o *overtaken) Unwrap() error { return errCopied }

// take moves the seat on, or says errCopied. Who is ahead of the server is no
// older copy: the server has lost a login when its store was taken over. Who
// repeats the last login has lost the answer.
func (s *seat) take(c claim) error {
	if s.number > 0 && c.next == [api.SeatSize]byte{} {
		return errCopied // an older program, or one that hides
	}
	repeated := c.number+1 == s.number && c.next == s.value
	expected := c.number == s.number && c.value == s.value
	if !repeated && !expected && c.number <= s.number {
		return errCopied
	}
	if c.next != [api.SeatSize]byte{} {
		s.number, s.value, s.before, s.signature = c.number+1, c.next, c.value, c.signature
	}
	return nil
}

// deviceCloned shows whoever is turned away the login that it is behind, which only
// the device's key can have signed.
func deviceCloned(cause error) error {
	var ahead *posthornv1.Seat
	if b, ok := errors.AsType[*overtaken](cause); ok {
		ahead = b.ahead.shown()
	}
	return refusal{
		code: connect.CodePermissionDenied, reason: api.ReasonDeviceCloned, text: "another copy of this device has logged in since; this one was not let in",
		hint: "make this profile a device of its own: it must not go on with old keys", ahead: ahead,
	}.err(reject.New("V-240", ErrCloned, ""))
}

func badSeat() error {
	return refusal{
		code: connect.CodeUnauthenticated, reason: api.ReasonBadProof, text: "the device has not signed what it says of its earlier logins; it was not let in",
		hint: "this client and this server disagree about the interface; update the older one",
	}.err(reject.New("V-294", ErrProof, "seat"))
}
