package transport_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/client/transport/newcomer"
	"github.com/posthorn/posthorn/server"
)

// tally counts the requests that come through it, by procedure.
type tally struct {
	*httptest.Server
	calls, streams atomic.Int32
}

// before puts a front before a server, which passes everything on as it comes,
// or, held, only what is whole.
func before(t *testing.T, o *office, held bool) *tally {
	t.Helper()
	target, err := url.Parse(o.url())
	if err != nil {
		t.Fatal(err)
	}
	f := &tally{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		Transport:     &http.Transport{DisableKeepAlives: true},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case posthornv1connect.MailboxServiceSendProcedure:
			f.calls.Add(1)
		case posthornv1connect.MailboxServiceSendStreamProcedure:
			f.streams.Add(1)
			if held {
				_, _ = io.Copy(io.Discard, r.Body)
				return
			}
			_ = http.NewResponseController(w).EnableFullDuplex()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// through makes a registered client of a front.
func through(ctx context.Context, t *testing.T, f *tally, name string) (*transport.Client, newcomer.Device) {
	t.Helper()
	d := newcomer.New(t, 1)
	c, err := transport.New(f.URL, d.Device, transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Register(ctx, "alice", d.Statement, d.Bundles[0]); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c, d
}

func parcel(to newcomer.Device, n int) []transport.Envelope {
	e := transport.Envelope{Account: to.Account, Device: to.ID, Payload: []byte(fmt.Sprint(n))}
	binary.BigEndian.PutUint64(e.ID[:], uint64(n+1))
	return []transport.Envelope{e}
}

// mustSend sends one envelope, which must be accepted.
func mustSend(ctx context.Context, t *testing.T, c *transport.Client, to newcomer.Device, n int) {
	t.Helper()
	if got, err := c.Send(ctx, parcel(to, n)); err != nil || got[0] != transport.Accepted {
		t.Fatalf("envelope %d: %v, %v", n, got, err)
	}
}

// sendAfterABreak is mustSend for the moment in which a connection that is kept
// may be broken without being known to be: then the same bytes go out once more.
func sendAfterABreak(ctx context.Context, t *testing.T, c *transport.Client, to newcomer.Device, n int) {
	t.Helper()
	for range 3 {
		got, err := c.Send(ctx, parcel(to, n))
		if err == nil && got[0] == transport.Accepted {
			return
		}
		if !errors.Is(err, transport.ErrOffline) {
			t.Fatalf("envelope %d: %v, %v", n, got, err)
		}
	}
	t.Fatalf("envelope %d does not get through", n)
}

// received counts what is in the mailbox, and that nothing is in it twice.
func received(ctx context.Context, t *testing.T, c *transport.Client) int {
	t.Helper()
	s, err := c.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is done with it
	seen := map[string]bool{}
	for _, d := range untilCaughtUp(t, s) {
		if seen[string(d.Payload)] {
			t.Errorf("%q came twice", d.Payload)
		}
		seen[string(d.Payload)] = true
	}
	return len(seen)
}

// untilStreamed sends until a request went over the stream, and returns the next
// number.
func untilStreamed(ctx context.Context, t *testing.T, f *tally, c *transport.Client, to newcomer.Device, n int) int {
	t.Helper()
	for {
		calls := f.calls.Load()
		mustSend(ctx, t, c, to, n)
		if n++; f.calls.Load() == calls {
			return n
		}
		time.Sleep(20 * time.Millisecond) // an opening stream is not waited for, and a mailbox is soon full
	}
}

// TestSendsOverOneStream: who keeps sending makes no calls any more once the
// stream is open, and calls again when it lets go.
func TestSendsOverOneStream(t *testing.T) {
	ctx, o := open(t)
	f := before(t, o, false)
	c, d := through(ctx, t, f, "alice")
	mustSend(ctx, t, c, d, 0)
	if f.streams.Load() != 0 {
		t.Fatal("a single message opened a stream")
	}
	release := c.KeepSending()
	n := untilStreamed(ctx, t, f, c, d, 1)
	calls, streams := f.calls.Load(), f.streams.Load()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			if got, err := c.Send(ctx, parcel(d, n+i)); err != nil || got[0] != transport.Accepted {
				t.Errorf("envelope %d: %v, %v", n+i, got, err)
			}
		})
	}
	all.Wait()
	if f.calls.Load() != calls || f.streams.Load() != streams {
		t.Errorf("%d calls and %d more streams for what one stream carries", f.calls.Load()-calls, f.streams.Load()-streams)
	}
	release()
	mustSend(ctx, t, c, d, n+200)
	if f.calls.Load() != calls+1 {
		t.Error("a message after the release took no call of its own")
	}
	if got := received(ctx, t, c); got != n+201 {
		t.Errorf("%d of %d envelopes", got, n+201)
	}
}

// A refusal on the stream is the error that the call would have failed with.
func TestRefusalsOnTheStream(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	o := openOffice(t, server.Options{OpenRegistration: true, Limits: server.Limits{Bytes: server.Rate{PerSecond: 0.001, Burst: 2000}}})
	f := before(t, o, false)
	c, d := through(ctx, t, f, "alice")
	defer c.KeepSending()()
	n := untilStreamed(ctx, t, f, c, d, 0)
	calls := f.calls.Load()
	large := parcel(d, n)
	large[0].Payload = bytes.Repeat([]byte("x"), api.MaxEnvelope+1)
	_, err := c.Send(ctx, large)
	wantFailure(t, err, transport.ErrRefused, api.ReasonBadRequest, false)
	large[0].Payload = large[0].Payload[:2000]
	_, err = c.Send(ctx, large)
	wantFailure(t, err, transport.ErrLimited, api.ReasonRateLimited, true)
	if f.calls.Load() != calls {
		t.Error("a refusal on the stream was asked for again")
	}
}

// TestKilledServerInTheMidstOfAStream: what was not answered goes out again, on
// whatever way there is, and is stored once.
func TestKilledServerInTheMidstOfAStream(t *testing.T) {
	_, o := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	f := before(t, o, false)
	c, d := through(ctx, t, f, "alice")
	defer c.KeepSending()()
	n := 0
	for range 3 {
		n = untilStreamed(ctx, t, f, c, d, n)
		o.stop()
		o.start()
		sendAfterABreak(ctx, t, c, d, n)
		n = untilStreamed(ctx, t, f, c, d, n+1)
		f.CloseClientConnections() // with whatever is on the stream
		sendAfterABreak(ctx, t, c, d, n)
		n++
	}
	if got := received(ctx, t, c); got != n {
		t.Errorf("%d of %d envelopes", got, n)
	}
}

// TestWithoutStreams: a way that holds back what is not whole, or a server that
// knows no streams, costs nothing but the stream.
func TestWithoutStreams(t *testing.T) {
	t.Run("held back", func(t *testing.T) {
		ctx, o := open(t)
		f := before(t, o, true)
		c, d := through(ctx, t, f, "alice")
		defer c.KeepSending()()
		for n := range 20 {
			mustSend(ctx, t, c, d, n)
		}
		if f.calls.Load() != 20 || received(ctx, t, c) != 20 {
			t.Errorf("%d calls", f.calls.Load())
		}
	})
	t.Run("older server", func(t *testing.T) {
		ctx, o := open(t)
		var streams atomic.Int32
		f := before(t, o, false)
		next := f.Config.Handler
		f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/SendStream") {
				streams.Add(1)
				http.NotFound(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
		c, d := through(ctx, t, f, "alice")
		defer c.KeepSending()()
		for n := range 20 {
			mustSend(ctx, t, c, d, n)
		}
		if f.calls.Load() != 20 || streams.Load() > 1 {
			t.Errorf("%d calls, %d tries of a stream", f.calls.Load(), streams.Load())
		}
	})
}

// TestV271AnswersToNoRequest: a stream that answers what was not asked is not
// believed any more, and the request is made as a call.
func TestV271AnswersToNoRequest(t *testing.T) {
	ctx, o := open(t)
	f := before(t, o, false)
	next := f.Config.Handler
	var lied atomic.Int32
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/SendStream") {
			next.ServeHTTP(w, r)
			return
		}
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "application/connect+proto")
		_, _ = w.Write(make([]byte, 5))
		_ = http.NewResponseController(w).Flush()
		if _, err := io.ReadFull(r.Body, make([]byte, 5)); err != nil {
			return
		}
		lie, _ := proto.Marshal(&posthornv1.SendStreamResponse{Answers: []*posthornv1.SendAnswer{{
			Number: 7, Outcome: &posthornv1.SendAnswer_Sent{Sent: &posthornv1.SendResponse{Statuses: []posthornv1.SendStatus{posthornv1.SendStatus_SEND_STATUS_ACCEPTED}}},
		}}})
		_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(lie))), lie...))
		lied.Add(1)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	})
	c, d := through(ctx, t, f, "alice")
	defer c.KeepSending()()
	n := 0
	for ; lied.Load() == 0; n++ {
		mustSend(ctx, t, c, d, n)
		time.Sleep(20 * time.Millisecond) // as in untilStreamed
	}
	if got := received(ctx, t, c); got != n {
		t.Errorf("%d of %d envelopes", got, n)
	}
}

func wantFailure(t *testing.T, err, want error, reason string, later bool) {
	t.Helper()
	failed, ok := err.(*transport.Error)
	if !ok || failed.Err != want || failed.Reason != reason || failed.Hint == "" || (failed.RetryAfter > 0) != later {
		t.Errorf("failed with %v (%+v), want %v for %s", err, failed, want, reason)
	}
}
