package machine

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Address is host:port for a program that cannot say which port it took, or
// that is to come back where it was. Nothing listens there now. The port is the
// kernel's choice, and where all of 127.0.0.0/8 is this machine, as on Linux,
// the host is a loopback address that no other test has: so nobody takes it
// between two lives, neither a listener nor a connection that goes out.
func Address(t testing.TB) string {
	t.Helper()
	own := fmt.Sprintf("127.%d.%d.%d:0", 2+rand.IntN(250), rand.IntN(256), 1+rand.IntN(250))
	l, err := net.Listen("tcp", own)
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
