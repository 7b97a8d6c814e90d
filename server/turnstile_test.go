package server

import (
	"io"
	"net"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/server/store/memory"
)

// letsIn reports whether the server answers on a new connection, which stays
// open then. One that is turned away is closed without a word.
func (o *office) letsIn() bool {
	o.t.Helper()
	c, err := net.Dial("tcp", o.addr)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return false
	}
	_, err = c.Read(make([]byte, 1))
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		o.t.Fatal("neither an answer nor an end")
	}
	return err == nil
}

// A flood of connections is closed at the bound; whoever is in is served, and
// there is room again when somebody leaves.
func TestConnectionFloodV162(t *testing.T) {
	for name, limits := range map[string]Limits{"in all": {Connections: 8}, "of one address": {ConnectionsPerAddress: 8}} {
		t.Run(name, func(t *testing.T) {
			limits.HeaderTime = time.Hour // those who say nothing stay
			o := openOver(t, memory.New(), Options{OpenRegistration: true, Limits: limits})
			alice := o.join("alice") // holds one place
			var crowd []net.Conn
			for range 7 {
				c, err := net.Dial("tcp", o.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				crowd = append(crowd, c)
			}
			for range 50 {
				if o.letsIn() {
					t.Fatal("a connection beyond the bound was let in")
				}
			}
			alice.sendAll(envelope(alice, "I am in"))
			_ = crowd[0].Close()
			await(t, o.letsIn)
		})
	}
}

// Behind a proxy all connections are the proxy's, so only the bound in all
// counts.
func TestConnectionsOfAProxyAreNotOneAddress(t *testing.T) {
	o := openOver(t, memory.New(), Options{BehindProxy: true, Limits: Limits{ConnectionsPerAddress: 1, Connections: 4}})
	for range 4 {
		if !o.letsIn() {
			t.Error("closed")
		}
	}
	if o.letsIn() {
		t.Error("the bound in all does not count")
	}
}

func TestTurnstileCountsByNetwork(t *testing.T) {
	gate := newTurnstile(nil, 3, 2, nil)
	here, beside, elsewhere := countedBy("[2001:db8::1]:1"), countedBy("[2001:db8::2]:9"), countedBy("[2001:db8:0:1::1]:1")
	if here != beside || here == elsewhere || countedBy("192.0.2.1:1") == countedBy("192.0.2.2:1") {
		t.Errorf("%q, %q, %q", here, beside, elsewhere)
	}
	if !gate.enter(here) || !gate.enter(beside) || gate.enter(here) || !gate.enter(elsewhere) || gate.enter("192.0.2.1") {
		t.Error("wrong count")
	}
	gate.leave(here)
	gate.leave(beside)
	gate.leave(elsewhere)
	if len(gate.of) != 0 || gate.inside != 0 {
		t.Errorf("left behind: %v, %d", gate.of, gate.inside)
	}
}

// An operator may take smaller envelopes than the interface allows.
func TestEnvelopeSizeOfTheOperator(t *testing.T) {
	o := openOver(t, memory.New(), Options{OpenRegistration: true, Limits: Limits{Envelope: 8 << 10}})
	alice := o.join("alice")
	alice.sendAll(envelope(alice, string(make([]byte, 8<<10))))
	_, err := alice.send(envelope(alice, string(make([]byte, 8<<10+1))))
	wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
	if got := alice.fetch(); len(got) != 1 {
		t.Errorf("%d stored", len(got))
	}
}

// await waits for something to become true.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen within three minutes")
		}
	}
}
