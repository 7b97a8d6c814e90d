package api

import (
	"testing"

	"github.com/posthorn/posthorn/account"
)

func TestAuthBytesBindEveryField(t *testing.T) {
	challenge := make([]byte, ChallengeSize)
	base := string(AuthBytes("127.0.0.1:7480", challenge, account.ID{1}, account.DeviceID{2}))
	other := make([]byte, ChallengeSize)
	other[31] = 1
	for name, got := range map[string][]byte{
		"audience":  AuthBytes("127.0.0.1:7481", challenge, account.ID{1}, account.DeviceID{2}),
		"challenge": AuthBytes("127.0.0.1:7480", other, account.ID{1}, account.DeviceID{2}),
		"account":   AuthBytes("127.0.0.1:7480", challenge, account.ID{3}, account.DeviceID{2}),
		"device":    AuthBytes("127.0.0.1:7480", challenge, account.ID{1}, account.DeviceID{3}),
		"boundary":  AuthBytes("127.0.0.1:748", append([]byte("0"), challenge...), account.ID{1}, account.DeviceID{2}),
	} {
		if string(got) == base {
			t.Errorf("another %s gives the same signed bytes", name)
		}
	}
}

func TestRecoveryBytesBindEveryField(t *testing.T) {
	challenge, other := make([]byte, ChallengeSize), make([]byte, ChallengeSize)
	other[31] = 1
	base := string(RecoveryBytes("127.0.0.1:7480", challenge, "alice"))
	for name, got := range map[string][]byte{
		"audience":  RecoveryBytes("127.0.0.1:7481", challenge, "alice"),
		"challenge": RecoveryBytes("127.0.0.1:7480", other, "alice"),
		"name":      RecoveryBytes("127.0.0.1:7480", challenge, "alicia"),
		"boundary":  RecoveryBytes("127.0.0.1:748", append([]byte("0"), challenge...), "alice"),
	} {
		if string(got) == base {
			t.Errorf("another %s gives the same signed bytes", name)
		}
	}
}

func TestSeatBytesBindEveryField(t *testing.T) {
	one, two := [SeatSize]byte{1}, [SeatSize]byte{2}
	base := string(SeatBytes(account.ID{1}, account.DeviceID{2}, 3, one, two))
	for name, got := range map[string][]byte{
		"account": SeatBytes(account.ID{3}, account.DeviceID{2}, 3, one, two),
		"device":  SeatBytes(account.ID{1}, account.DeviceID{3}, 3, one, two),
		"number":  SeatBytes(account.ID{1}, account.DeviceID{2}, 4, one, two),
		"value":   SeatBytes(account.ID{1}, account.DeviceID{2}, 3, two, two),
		"next":    SeatBytes(account.ID{1}, account.DeviceID{2}, 3, one, one),
	} {
		if string(got) == base {
			t.Errorf("another %s gives the same signed bytes", name)
		}
	}
}
