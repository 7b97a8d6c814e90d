package machine

import (
	"net"
	"testing"
)

// An address can be listened on again and again, and two are never the same.
func TestAddressIsOfThisTest(t *testing.T) {
	first, second := Address(t), Address(t)
	if first == second {
		t.Fatalf("twice %s", first)
	}
	for range 3 {
		l, err := net.Listen("tcp", first)
		if err != nil {
			t.Fatal(err)
		}
		if ip := l.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
			t.Errorf("%s is reached from other machines", first)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
