package server

import (
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/codec"
)

// sit logs in with a seat.
func (p *person) sit(number uint64, value, next byte) (*posthornv1.AuthenticateResponse, error) {
	return p.line.auth.Authenticate(p.t.Context(), &posthornv1.AuthenticateRequest{Proof: p.proof(), Seat: p.seat(number, value, next)})
}

// seat is what a login says, signed.
func (p *person) seat(number uint64, value, next byte) *posthornv1.Seat {
	p.t.Helper()
	seat := &posthornv1.Seat{Number: number, Next: filled(next)}
	var before [api.SeatSize]byte
	if number > 0 {
		seat.Value = filled(value)
		before = [api.SeatSize]byte(seat.Value)
	}
	signature, err := p.key.SignECDSA(nil, api.SeatBytes(p.party.Account, p.party.Device.ID, number, before, [api.SeatSize]byte(seat.Next)))
	if err != nil {
		p.t.Fatal(err)
	}
	seat.Signature = signature[:]
	return seat
}

func filled(b byte) []byte {
	out := make([]byte, api.SeatSize)
	for i := range out {
		out[i] = b
	}
	return out
}

func (p *person) mustSit(number uint64, value, next byte) *posthornv1.AuthenticateResponse {
	p.t.Helper()
	answer, err := p.sit(number, value, next)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer
}

func TestV240CopyThatIsBehind(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	alice.mustSit(0, 0, 1)
	alice.mustSit(0, 0, 1) // the answer was lost
	alice.mustSit(1, 1, 2)
	ahead := alice.mustSit(2, 2, 3)
	for name, behind := range map[string][3]byte{"of the first login": {1, 1, 9}, "of the last but one": {2, 2, 9}, "with a value of its own": {3, 9, 8}, "before any login": {0, 0, 9}} {
		_, err := alice.sit(uint64(behind[0]), behind[1], behind[2])
		if connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Fatalf("%s: %v", name, err)
		}
		wantRefusal(t, err, connect.CodePermissionDenied, api.ReasonDeviceCloned)
		if shown, want := detailOf(t, err).GetAhead(), alice.seat(2, 2, 3); !proto.Equal(shown, want) {
			t.Errorf("%s: the server shows %v, and the last login was %v", name, shown, want)
		}
	}
	// A program that knows no seats cannot be used to hide.
	_, err := alice.line.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{Proof: alice.proof()})
	wantRefusal(t, err, connect.CodePermissionDenied, api.ReasonDeviceCloned)
	_, err = alice.line.directory.Register(t.Context(), alice.registration())
	wantRefusal(t, err, connect.CodePermissionDenied, api.ReasonDeviceCloned)
	// Whoever is ahead has to log in again, and is told once.
	_, err = alice.line.mailbox.Ack(bearer(t, ahead.GetToken()), &posthornv1.AckRequest{})
	wantRefusal(t, err, connect.CodeUnauthenticated, api.ReasonNoToken)
	if told := alice.mustSit(3, 3, 4); !told.GetCopied() {
		t.Error("the side that is ahead is not told")
	}
	if told := alice.mustSit(4, 4, 5); told.GetCopied() {
		t.Error("it is told twice")
	}
}

// A login ends what earlier ones had: a copy in use shows at its next call.
func TestV240OneTokenAtATime(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	first := alice.mustSit(0, 0, 1)
	second := alice.mustSit(1, 1, 2)
	_, err := alice.line.mailbox.Ack(bearer(t, first.GetToken()), &posthornv1.AckRequest{})
	wantRefusal(t, err, connect.CodeUnauthenticated, api.ReasonNoToken)
	if _, err := alice.line.mailbox.Ack(bearer(t, second.GetToken()), &posthornv1.AckRequest{}); err != nil {
		t.Fatal(err)
	}
}

// A store that was taken over may have lost logins: who is ahead of it is no
// older copy.
func TestV240StoreThatLostALogin(t *testing.T) {
	s := seat{number: 3, value: [16]byte{3}}
	if err := s.take(claim{number: 5, value: [16]byte{5}, next: [16]byte{6}}); err != nil || s.number != 6 || s.value != [16]byte{6} {
		t.Fatal(s, err)
	}
}

// What a login says of earlier ones is signed by the device, for itself, so that
// it can be shown to a copy.
func TestV294SeatIsSigned(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	alice.mustSit(0, 0, 1)
	before := dump(t, o.store)
	for name, change := range map[string]func(*posthornv1.Seat){
		"another number":       func(s *posthornv1.Seat) { s.Number++ },
		"another value":        func(s *posthornv1.Seat) { s.Value = filled(7) },
		"another next":         func(s *posthornv1.Seat) { s.Next = filled(7) },
		"somebody else's":      func(s *posthornv1.Seat) { s.Signature = bob.seat(1, 1, 2).GetSignature() },
		"a signature of zeros": func(s *posthornv1.Seat) { s.Signature = make([]byte, 64) },
		"a changed signature":  func(s *posthornv1.Seat) { s.Signature[40] ^= 1 },
	} {
		seat := alice.seat(1, 1, 2)
		change(seat)
		_, err := alice.line.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{Proof: alice.proof(), Seat: seat})
		t.Log(name)
		wantRefusal(t, err, connect.CodeUnauthenticated, api.ReasonBadProof)
	}
	if after := dump(t, o.store); after != before {
		t.Error("a refused seat had an effect")
	}
	alice.mustSit(1, 1, 2)
}

// A store of an earlier version has a seat that nobody signed: there is nothing to
// show, and the copy is turned away all the same.
func TestV240UnsignedSeat(t *testing.T) {
	s := seat{number: 3, value: [16]byte{3}}
	read, ok := readSeat(codec.NewReader(s.marshal()))
	if !ok || read != s || read.shown() != nil {
		t.Errorf("%+v, %v", read, ok)
	}
	if err := read.take(claim{number: 2, value: [16]byte{2}, next: [16]byte{9}}); err == nil {
		t.Error("a copy is let in")
	}
}

func TestV85MalformedSeats(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	for name, seat := range map[string]*posthornv1.Seat{
		"no next":     {},
		"unsigned":    {Next: make([]byte, 16)},
		"cut":         {Next: make([]byte, 16), Signature: make([]byte, 63)},
		"short next":  {Next: make([]byte, 15)},
		"no value":    {Number: 1, Next: make([]byte, 16)},
		"long value":  {Number: 1, Value: make([]byte, 17), Next: make([]byte, 16)},
		"last number": {Number: 1<<64 - 1, Value: make([]byte, 16), Next: make([]byte, 16)},
		"stray value": {Value: []byte{1}, Next: make([]byte, 16)},
	} {
		if name != "unsigned" && name != "cut" {
			seat.Signature = make([]byte, 64)
		}
		_, err := alice.line.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{Proof: alice.proof(), Seat: seat})
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}
