package server

import (
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// sit logs in with a seat.
func (p *person) sit(number uint64, value, next byte) (*posthornv1.AuthenticateResponse, error) {
	seat := &posthornv1.Seat{Number: number, Next: filled(next)}
	if number > 0 {
		seat.Value = filled(value)
	}
	return p.line.auth.Authenticate(p.t.Context(), &posthornv1.AuthenticateRequest{Proof: p.proof(), Seat: seat})
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

func TestV85MalformedSeats(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	for name, seat := range map[string]*posthornv1.Seat{
		"no next":     {},
		"short next":  {Next: make([]byte, 15)},
		"no value":    {Number: 1, Next: make([]byte, 16)},
		"long value":  {Number: 1, Value: make([]byte, 17), Next: make([]byte, 16)},
		"last number": {Number: 1<<64 - 1, Value: make([]byte, 16), Next: make([]byte, 16)},
		"stray value": {Value: []byte{1}, Next: make([]byte, 16)},
	} {
		_, err := alice.line.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{Proof: alice.proof(), Seat: seat})
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}
