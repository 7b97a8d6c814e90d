package server

import (
	"encoding/binary"
	"errors"

	"connectrpc.com/connect/v2"

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
}

// marshal is the seat, or nothing before the first login with one.
func (s seat) marshal() []byte {
	if s == (seat{}) {
		return nil
	}
	b := binary.BigEndian.AppendUint64(nil, s.number)
	b = append(b, s.value[:]...)
	if s.copied {
		return append(b, 1)
	}
	return append(b, 0)
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
	return s, copied <= 1 && s != seat{}
}

// claim is what a device says of its seat, and what it wants next.
type claim struct {
	number      uint64
	value, next [api.SeatSize]byte
}

// parseClaim reads the seat of a login. A device that says nothing has none.
func parseClaim(wire *posthornv1.Seat) (c claim, err error) {
	if wire == nil {
		return c, nil
	}
	c.number = wire.GetNumber()
	first := c.number == 0 && len(wire.GetValue()) == 0
	if !copyExactly(c.next[:], wire.GetNext()) || !first && !copyExactly(c.value[:], wire.GetValue()) || c.number == 1<<64-1 {
		return claim{}, badRequest(reject.New("V-85", ErrRequest, "seat"), "a field of the seat has the wrong length")
	}
	return c, nil
}

// errCopied: the device is behind another copy of itself.
var errCopied = errors.New("server: a copy of the device has gone on")

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
		s.number, s.value = c.number+1, c.next
	}
	return nil
}

func deviceCloned() error {
	return refusal{
		code: connect.CodePermissionDenied, reason: api.ReasonDeviceCloned, text: "another copy of this device has logged in since; this one was not let in",
		hint: "make this profile a device of its own: it must not go on with old keys",
	}.err(reject.New("V-240", ErrCloned, ""))
}
