package server

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// These are attack A37: a client that costs the server more than it gives.

// besieged is a server with short patience, and somebody who uses it all the
// while. The siege is over when attack returns; then everything sent must have
// arrived, and nothing else may have been stored.
func besieged(t *testing.T, limits Limits, attack func(o *office, victim *person)) {
	t.Helper()
	limits.Mailbox = store.Limits{Envelopes: 1 << 24, Bytes: 1 << 40} // a siege takes as long as it takes
	o := openOver(t, memory.New(), Options{OpenRegistration: true, Limits: limits})
	alice, bob := o.join("alice"), o.join("bob")
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if _, err := alice.send(envelope(bob, "still here")); err != nil {
				t.Errorf("a good client, send %d: %v", n, err)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		sent <- n
	}()
	attack(o, alice)
	cancel()
	n := <-sent
	if got := bob.fetch(); len(got) != n || n == 0 {
		t.Errorf("%d arrived of %d", len(got), n)
	}
	if got := alice.fetch(); len(got) != 0 {
		t.Errorf("the attack stored %d envelopes", len(got))
	}
}

// raw opens a connection and says something on it.
func (o *office) raw(text string) net.Conn {
	o.t.Helper()
	c, err := net.Dial("tcp", o.addr)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		o.t.Fatal(err)
	}
	return c
}

// drip sends a byte every 20 ms until the server hangs up, and fails when that
// takes more than five minutes.
func drip(t *testing.T, c net.Conn, text string) {
	closed := make(chan struct{})
	go func() { defer close(closed); _, _ = io.Copy(io.Discard, c) }()
	end := time.After(5 * time.Minute)
	for i := 0; ; i++ {
		select {
		case <-closed:
			return
		case <-end:
			t.Error("the server is still listening")
			return
		case <-time.After(20 * time.Millisecond):
			_, _ = c.Write([]byte{text[i%len(text)]})
		}
	}
}

// Sixty connections that send the head or the body of a request byte by byte
// are ended by the server, and its users do not notice: a call of theirs has
// seconds, which a busy machine needs.
func TestSlowRequests(t *testing.T) {
	t.Parallel() // it waits for the end of the calls
	const head = "POST /posthorn.v1.MailboxService/Send HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\n"
	besieged(t, Limits{HeaderTime: 5 * time.Second, CallTime: 8 * time.Second}, func(o *office, victim *person) {
		ended := make(chan struct{})
		const crowd = 20
		for range crowd {
			for _, begin := range []string{
				"POST /posthorn.v1.MailboxService/Send HTTP/1.1\r\nX-Slow: ",
				head + "Authorization: Bearer " + victim.token + "\r\nContent-Length: 100000\r\n\r\n",
				head + "Authorization: Bearer " + victim.token + "\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
			} {
				c := o.raw(begin)
				go func() { drip(t, c, "a"); ended <- struct{}{} }()
			}
		}
		for range 3 * crowd {
			<-ended
		}
	})
}

// A connection that says nothing at all is ended as well.
func TestSilentConnections(t *testing.T) {
	t.Parallel() // it waits for the end of the server's patience
	besieged(t, Limits{HeaderTime: 5 * time.Second}, func(o *office, _ *person) {
		var crowd []net.Conn
		for range 50 {
			crowd = append(crowd, o.raw(""))
		}
		for _, c := range crowd {
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("after the patience of the server: %v", err)
			}
		}
	})
}

// A head beyond 16 KiB is refused, however it is made up.
func TestLargeHeads(t *testing.T) {
	besieged(t, Limits{}, func(o *office, victim *person) {
		for name, more := range map[string]string{
			"one header":   "X-Big: " + strings.Repeat("x", 1<<20) + "\r\n",
			"many headers": strings.Repeat("X-Many: x\r\n", 100_000),
			"the path":     "",
		} {
			path := "/posthorn.v1.MailboxService/Ack"
			if more == "" {
				path += "?" + strings.Repeat("x", 1<<20)
			}
			c := o.raw("")
			go func() {
				_, _ = io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+victim.token+"\r\n"+more+"\r\n")
			}()
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err == nil && answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%s: %s", name, answer.Status)
			}
		}
		line := o.connect(true) // HTTP/2
		ctx := bearer(t, victim.token)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+o.addr+"/posthorn.v1.MailboxService/Ack", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+victim.token)
		request.Header.Set("X-Big", strings.Repeat("x", 1<<20))
		if answer, err := line.http.RoundTrip(request); err == nil && answer.StatusCode == http.StatusOK {
			t.Errorf("HTTP/2: %s", answer.Status)
		}
	})
}

// meter is a listener that knows how much the server reads, and which
// connections it has ended.
type meter struct {
	net.Listener
	period atomic.Int64
	read   atomic.Int64 // from connections of this period, in bytes
	closed sync.Map     // by the address of the other end
}

// next begins a period.
func (m *meter) next() {
	m.period.Add(1)
	m.read.Store(0)
}

func (m *meter) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &metered{Conn: c, all: m, period: m.period.Load()}, nil
}

type metered struct {
	net.Conn
	all    *meter
	period int64
}

func (c *metered) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.period == c.all.period.Load() {
		c.all.read.Add(int64(n))
	}
	return n, err
}

func (c *metered) Close() error {
	defer c.all.closed.Store(c.RemoteAddr().String(), true)
	return c.Conn.Close()
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0x0a
	}
	return len(p), nil
}

// A body beyond the limit is refused. Of one that declares its length the server
// reads no more than came with the head; of another no more than may be in a
// request, with its head and what the server reads ahead.
func TestLargeBodies(t *testing.T) {
	besieged(t, Limits{}, func(o *office, victim *person) {
		large := map[string]struct{ length, most int64 }{"declared": {1 << 34, 64 << 10}, "not declared": {-1, api.MaxRequest + 512<<10}}
		for _, procedure := range procedures() {
			for name, body := range large {
				o.reads.next()
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+o.addr+procedure, io.LimitReader(endless{}, 1<<34))
				if err != nil {
					t.Fatal(err)
				}
				request.ContentLength = body.length
				request.Header.Set("Content-Type", "application/proto")
				request.Header.Set("Authorization", "Bearer "+victim.token)
				network := &http.Transport{DisableKeepAlives: true}
				answer, err := network.RoundTrip(request)
				if err == nil {
					_ = answer.Body.Close()
					if answer.StatusCode == http.StatusOK {
						t.Errorf("%s, %s: %s", procedure, name, answer.Status)
					}
				}
				if read := o.reads.read.Load(); read > body.most || read == 0 {
					t.Fatalf("%s, %s: the server read %d bytes", procedure, name, read)
				}
				network.CloseIdleConnections()
			}
		}
	})
}

// The server decompresses nothing, so a small body stays a small one.
func TestCompressedBodies(t *testing.T) {
	besieged(t, Limits{}, func(o *office, victim *person) {
		message, err := proto.Marshal(&posthornv1.SendRequest{Envelopes: []*posthornv1.Envelope{envelope(victim, strings.Repeat("x", 200<<10))}})
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(message)
		_ = z.Close()
		for _, encoding := range []string{"gzip", "br", "zstd", "deflate", "identity, gzip"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+o.addr+"/posthorn.v1.MailboxService/Send", bytes.NewReader(packed.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/proto")
			request.Header.Set("Content-Encoding", encoding)
			request.Header.Set("Authorization", "Bearer "+victim.token)
			answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				t.Errorf("%s is taken", encoding)
			}
		}
	})
}

// One connection carries no more calls at a time than the limit: a client with
// more opens another one, which counts.
func TestStreamsOfOneConnection(t *testing.T) {
	o := openOver(t, memory.New(), Options{OpenRegistration: true, Limits: Limits{Streams: 2}})
	var dials atomic.Int32
	line := o.connect(true)
	dial := line.http.DialContext
	line.http.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, address)
	}
	for i := range 6 {
		p := o.join(fmt.Sprintf("person%d", i))
		p.line = line
		p.listen().catchUp()
	}
	if n := dials.Load(); n != 3 {
		t.Errorf("six streams over %d connections, want 3", n)
	}
}
