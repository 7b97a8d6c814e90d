package server

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// A long backlog comes in order, without a gap, and caught_up comes once, with
// its last envelope.
func TestCatchUpOfTenThousand(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		const senders, each = 4, 2500
		o := openOver(t, s, Options{OpenRegistration: true})
		bob := o.join("bob")
		for i := range senders {
			p := o.join(fmt.Sprintf("sender%d", i))
			for n := 0; n < each; n += 50 {
				var envelopes []*posthornv1.Envelope
				for j := range 50 {
					envelopes = append(envelopes, envelope(bob, string(binary.BigEndian.AppendUint32(nil, uint32(i*each+n+j)))))
				}
				p.sendAll(envelopes...)
			}
		}
		began := time.Now()
		got := bob.fetch()
		t.Logf("%d envelopes in %v", len(got), time.Since(began).Round(time.Millisecond))
		if len(got) != senders*each {
			t.Fatalf("%d envelopes", len(got))
		}
		for i, d := range got {
			if d.GetSeq() != uint64(i+1) || binary.BigEndian.Uint32(d.GetPayload()) != uint32(i) {
				t.Fatalf("place %d has number %d and payload %x", i, d.GetSeq(), d.GetPayload())
			}
		}
	})
}

func TestNewerStreamReplacesTheOlder(t *testing.T) {
	for _, h2c := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2c=%v", h2c), func(t *testing.T) {
			o := open(t)
			alice, bob := o.join("alice"), o.join("bob")
			bob.line = o.connect(h2c)
			older := bob.listen()
			older.catchUp()
			newer := bob.listen()
			newer.catchUp()
			_, err := older.stream.Receive()
			wantRefusal(t, err, connect.CodeAborted, api.ReasonReplaced)
			alice.sendAll(envelope(bob, "x"))
			if r := newer.next(); len(r.GetDeliveries()) != 1 {
				t.Errorf("the newer stream got %v", r)
			}
		})
	}
}

// A quiet stream outlives the time that a call has to travel, and says that it
// lives. Calls are made at another node, where they have time for a busy machine.
func TestKeepAlive(t *testing.T) {
	t.Parallel() // it waits for longer than a call has
	quick := DefaultLimits()
	quick.CallTime, quick.KeepAlive, quick.Repair = 3*time.Second, 2*time.Second, 50*time.Millisecond
	for _, h2c := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2c=%v", h2c), func(t *testing.T) {
			t.Parallel()
			s := memory.New()
			calls, streams := openOver(t, s, Options{OpenRegistration: true}), openOver(t, s, Options{Limits: quick})
			alice, bob := calls.join("alice"), calls.join("bob")
			bob.line = streams.connect(h2c)
			e := bob.listen()
			e.catchUp()
			for range 4 { // 8 s, of which request and answer of a call have 6
				if r := e.next(); len(r.GetDeliveries()) != 0 || r.GetCaughtUp() {
					t.Fatalf("a keep-alive with %v", r)
				}
			}
			alice.sendAll(envelope(bob, "still there"))
			for len(e.next().GetDeliveries()) == 0 {
			}
		})
	}
}

// TestA57ExpiredIsToldUntilNoted: a stream that broke before the device knew
// costs nobody the notice.
func TestA57ExpiredIsToldUntilNoted(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	alice.sendAll(envelope(bob, "one"), envelope(bob, "two"))
	if _, _, err := o.store.Sweep(t.Context(), time.Now().Add(time.Second), 1000); err != nil {
		t.Fatal(err)
	}
	alice.sendAll(envelope(bob, "three"))
	if r := bob.listen().next(); r.GetExpired() != 2 || len(r.GetDeliveries()) != 1 || r.GetDeliveries()[0].GetSeq() != 3 {
		t.Errorf("told %v", r)
	}
	if r := bob.listen().next(); r.GetExpired() != 2 {
		t.Errorf("not told again, though the first stream may not have got there: %v", r)
	}
	ack := func(expired uint64) {
		if _, err := bob.line.mailbox.Ack(bearer(t, bob.token), &posthornv1.AckRequest{Expired: expired}); err != nil {
			t.Fatal(err)
		}
	}
	ack(1)
	if r := bob.listen().next(); r.GetExpired() != 1 || len(r.GetDeliveries()) != 1 {
		t.Errorf("one was noted: %v", r)
	}
	ack(5)
	if r := bob.listen().next(); r.GetExpired() != 0 || len(r.GetDeliveries()) != 1 {
		t.Errorf("all were noted: %v", r)
	}
}

// The server ends while streams are open, and says so on them. Whether it takes
// no more than its ten seconds, only a quiet machine can tell.
func TestStopWithOpenStreams(t *testing.T) {
	for _, h2c := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2c=%v", h2c), func(t *testing.T) {
			o := open(t)
			bob := o.join("bob")
			bob.line = o.connect(h2c)
			e := bob.listen()
			e.catchUp()
			began := time.Now()
			o.close()
			if took := time.Since(began); took > time.Minute {
				t.Errorf("stopping took %v", took)
			}
			_, err := e.stream.Receive()
			wantRefusal(t, err, connect.CodeUnavailable, api.ReasonStopping)
		})
	}
}

// A device that stops reading holds up nothing but its own stream, and that
// not for ever; the backlog is there for its next one.
func TestSlowDevice(t *testing.T) {
	t.Parallel()
	quick := DefaultLimits()
	quick.StreamWrite = 2 * time.Second
	o := openOver(t, memory.New(), Options{OpenRegistration: true, Limits: quick})
	bob := o.join("bob")
	for i := range 3 {
		p := o.join(fmt.Sprintf("sender%d", i))
		for range 4 {
			var envelopes []*posthornv1.Envelope
			for range 15 {
				envelopes = append(envelopes, envelope(bob, strings.Repeat("x", api.MaxEnvelope-100)))
			}
			p.sendAll(envelopes...)
		}
	}
	stuck := o.rawStream(bob.token)
	await(t, func() bool { _, over := o.reads.closed.Load(stuck.LocalAddr().String()); return over })
	if n := o.readToEnd(stuck); n > 32<<20 {
		t.Errorf("%d bytes were written to a device that did not read", n)
	}
	again := openOver(t, o.store, Options{}) // with patience for a good reader on a busy machine
	if got := bob.at(again).fetch(); len(got) != 3*4*15 {
		t.Errorf("%d envelopes are left", len(got))
	}
}

// rawStream asks for a stream on a bare connection and reads nothing of it.
func (o *office) rawStream(token string) net.Conn {
	o.t.Helper()
	c, err := net.Dial("tcp", o.addr)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = c.Close() })
	_, err = fmt.Fprintf(c, "POST /posthorn.v1.MailboxService/Receive HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/connect+proto\r\nContent-Length: 5\r\n\r\n\x00\x00\x00\x00\x00", o.addr, token)
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

// readToEnd counts what comes until the server closes the connection.
func (o *office) readToEnd(c net.Conn) int64 {
	o.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
	n, err := io.Copy(io.Discard, c)
	if failed, ok := err.(net.Error); ok && failed.Timeout() {
		o.t.Error("the server left the connection open")
	}
	return n
}

// Headers that never end are cut off.
func TestSlowHeaders(t *testing.T) {
	t.Parallel() // it waits for the header deadline
	o := open(t)
	began := time.Now()
	c, err := net.Dial("tcp", o.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /posthorn.v1.AuthService/GetChallenge HTTP/1.1\r\nHost: x\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(3 * time.Minute))
	if _, err := io.Copy(io.Discard, c); err != nil || time.Since(began) < 9*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func TestHugeHeaders(t *testing.T) {
	o := open(t)
	c, err := net.Dial("tcp", o.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	_, _ = fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("y", 3*api.MaxHeader))
	answer := make([]byte, 12)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 431" {
		t.Errorf("answered %q, %v", answer, err)
	}
}
