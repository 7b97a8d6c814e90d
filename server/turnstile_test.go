package server

import (
	"net"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/server/store/memory"
)

// closedAtOnce reports whether the server closes a new connection that says
// nothing.
func (o *office) closedAtOnce() bool {
	o.t.Helper()
	c, err := net.Dial("tcp", o.addr)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	_, err = c.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return !ok || !timeout.Timeout()
}

// A flood of connections is closed at the bound; whoever is in is served, and
// there is room again when somebody leaves.
func TestConnectionFloodV162(t *testing.T) {
	for name, limits := range map[string]Limits{"in all": {Connections: 8}, "of one address": {ConnectionsPerAddress: 8}} {
		t.Run(name, func(t *testing.T) {
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
				if !o.closedAtOnce() {
					t.Fatal("a connection beyond the bound was let in")
				}
			}
			alice.sendAll(envelope(alice, "I am in"))
			_ = crowd[0].Close()
			await(t, func() bool { return !o.closedAtOnce() })
		})
	}
}

// Behind a proxy all connections are the proxy's, so only the bound in all
// counts.
func TestConnectionsOfAProxyAreNotOneAddress(t *testing.T) {
	o := openOver(t, memory.New(), Options{BehindProxy: true, Limits: Limits{ConnectionsPerAddress: 1, Connections: 4}})
	for range 4 {
		if o.closedAtOnce() {
			t.Error("closed")
		}
	}
	if !o.closedAtOnce() {
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

// await waits up to ten seconds for something to become true.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen within ten seconds")
		}
	}
}
