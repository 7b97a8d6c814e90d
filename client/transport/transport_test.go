package transport_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/client/transport/newcomer"
	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// TestMain fails the package when a goroutine outlives its test.
func TestMain(m *testing.M) { machine.Leakless(m) }

// office is a real server on loopback that can be restarted on its address.
type office struct {
	t       *testing.T
	store   store.Store
	options server.Options
	address string
	stop    func()
}

func openOffice(t *testing.T, options server.Options) *office {
	o := &office{t: t, store: memory.New(), options: options, address: machine.Address(t)}
	o.start()
	t.Cleanup(func() {
		o.stop()
		if err := o.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func (o *office) start() {
	l, err := net.Listen("tcp", o.address)
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	srv := server.New(o.store, o.options)
	go func() { ended <- srv.Serve(ctx, l) }()
	o.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			o.t.Errorf("serve: %v", err)
		}
		o.stop = func() {}
	}
}

func (o *office) url() string { return "http://" + o.address }

func connect(t *testing.T, o *office, d newcomer.Device, options transport.Options) *transport.Client {
	t.Helper()
	c, err := transport.New(o.url(), d.Device, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func open(t *testing.T) (context.Context, *office) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	return ctx, openOffice(t, server.Options{OpenRegistration: true})
}

func TestEveryCallOverBothProtocols(t *testing.T) {
	for name, options := range map[string]transport.Options{"HTTP/1.1": {}, "h2c": {H2C: true}} {
		t.Run(name, func(t *testing.T) {
			ctx, o := open(t)
			d := newcomer.New(t, 1)
			c := connect(t, o, d, options)
			if err := c.Register(ctx, "alice", d.Statement, d.Bundles[0]); err != nil {
				t.Fatal(err)
			}
			everyCall(ctx, t, c, d)
		})
	}
}

func everyCall(ctx context.Context, t *testing.T, c *transport.Client, d newcomer.Device) {
	t.Helper()
	byName, err := c.AccountByName(ctx, "alice")
	if err != nil || string(byName.Account) != string(d.Account[:]) || len(byName.Statements) != 1 {
		t.Fatalf("by name: %v", err)
	}
	if byID, err := c.AccountByID(ctx, d.Account); err != nil || byID.Name != "alice" {
		t.Fatalf("by id: %v", err)
	}
	if bundle, err := c.FetchBundle(ctx, d.Account, d.ID); err != nil || string(bundle) != string(d.Bundles[0]) {
		t.Fatalf("bundle: %v", err)
	}
	known := transport.Envelope{ID: [16]byte{1}, Account: d.Account, Device: d.ID, Payload: []byte("sealed")}
	unknown := transport.Envelope{ID: [16]byte{2}, Account: d.Account, Device: account.DeviceID{9}, Payload: []byte("sealed")}
	outcomes, err := c.Send(ctx, []transport.Envelope{known, unknown})
	if err != nil || outcomes[0] != transport.Accepted || outcomes[1] != transport.UnknownDevice {
		t.Fatalf("send: %v, %v", outcomes, err)
	}
	stream, err := c.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got := untilCaughtUp(t, stream)
	if len(got) != 1 || string(got[0].Payload) != "sealed" || got[0].ID != known.ID || got[0].SenderDevice != d.ID || got[0].SenderAccount != d.Account {
		t.Fatalf("received %+v", got)
	}
	if err := stream.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := c.Ack(ctx, got[0].Seq, 0); err != nil {
		t.Fatal(err)
	}
	if stream, err = c.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	defer stream.Close() //nolint:errcheck // the test is done with it
	if got := untilCaughtUp(t, stream); len(got) != 0 {
		t.Errorf("acknowledged, yet received again: %+v", got)
	}
}

func untilCaughtUp(t *testing.T, s *transport.Stream) (all []transport.Delivery) {
	t.Helper()
	for {
		batch, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, batch.Deliveries...)
		if batch.CaughtUp {
			return all
		}
	}
}

// TestRestartForgetsTokens: the server has lost its tokens, and neither calls
// nor streams notice.
func TestRestartForgetsTokens(t *testing.T) {
	ctx, o := open(t)
	d := newcomer.New(t, 1)
	c := connect(t, o, d, transport.Options{})
	if err := c.Register(ctx, "alice", d.Statement, d.Bundles[0]); err != nil {
		t.Fatal(err)
	}
	o.stop()
	o.start()
	stream, err := c.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	untilCaughtUp(t, stream)
	if err := stream.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	o.stop()
	o.start()
	if _, err := c.AccountByName(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
}

func TestFailuresSayWhatToDo(t *testing.T) {
	ctx, o := open(t)
	d, other := newcomer.New(t, 1), newcomer.New(t, 1)
	c, stranger := connect(t, o, d, transport.Options{}), connect(t, o, other, transport.Options{})
	if err := c.Register(ctx, "alice", d.Statement, d.Bundles[0]); err != nil {
		t.Fatal(err)
	}
	_, noName := c.AccountByName(ctx, "nobody")
	_, noBundle := c.FetchBundle(ctx, d.Account, account.DeviceID{1})
	_, noDevice := stranger.AccountByName(ctx, "alice")
	for what, check := range map[string]struct {
		got    error
		want   error
		reason string
	}{
		"unknown name":     {noName, transport.ErrNotFound, api.ReasonUnknownAccount},
		"unknown device":   {noBundle, transport.ErrNotFound, api.ReasonNoBundle},
		"no such account":  {noDevice, transport.ErrUnauthenticated, api.ReasonBadProof},
		"name taken":       {stranger.Register(ctx, "alice", other.Statement, other.Bundles[0]), transport.ErrNameTaken, api.ReasonNameTaken},
		"malformed bundle": {c.PublishBundle(ctx, []byte("x")), transport.ErrRefused, api.ReasonBadBundle},
	} {
		var failed *transport.Error
		if !errors.Is(check.got, check.want) || !errors.As(check.got, &failed) || failed.Reason != check.reason || failed.Hint == "" {
			t.Errorf("%s: %v (%+v)", what, check.got, failed)
		}
	}
	closed := openOffice(t, server.Options{})
	if err := connect(t, closed, other, transport.Options{}).Register(ctx, "bob", other.Statement, other.Bundles[0]); !errors.Is(err, transport.ErrDenied) {
		t.Errorf("closed registration: %v", err)
	}
}

func TestOfflineIsToldFromCancelled(t *testing.T) {
	ctx, o := open(t)
	d := newcomer.New(t, 1)
	c := connect(t, o, d, transport.Options{})
	if err := c.Register(ctx, "alice", d.Statement, d.Bundles[0]); err != nil {
		t.Fatal(err)
	}
	stream, err := c.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	untilCaughtUp(t, stream)
	o.stop()
	if _, err := stream.Next(); !errors.Is(err, transport.ErrOffline) {
		t.Errorf("stream: %v", err)
	}
	_ = stream.Close()
	if _, err := c.AccountByName(ctx, "alice"); !errors.Is(err, transport.ErrOffline) {
		t.Errorf("call: %v", err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.AccountByName(over, "alice"); !errors.Is(err, context.Canceled) || errors.Is(err, transport.ErrOffline) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNewerStreamTakesOver(t *testing.T) {
	ctx, o := open(t)
	d := newcomer.New(t, 1)
	c := connect(t, o, d, transport.Options{})
	if err := c.Register(ctx, "alice", d.Statement, d.Bundles[0]); err != nil {
		t.Fatal(err)
	}
	older, err := c.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer older.Close() //nolint:errcheck // the test is done with it
	untilCaughtUp(t, older)
	newer, err := c.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer newer.Close() //nolint:errcheck // the test is done with it
	untilCaughtUp(t, newer)
	if _, err := older.Next(); !errors.Is(err, transport.ErrReplaced) {
		t.Errorf("older stream: %v", err)
	}
}

// TestTokensStayWithTheirServer: a redirect is not followed, so no other host
// sees the token.
func TestTokensStayWithTheirServer(t *testing.T) {
	var visits atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer elsewhere.Close()
	hostile := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer hostile.Close()
	c, err := transport.New(hostile.URL, newcomer.New(t, 1).Device, transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Reach(t.Context()); err == nil {
		t.Error("a redirect passed for an answer")
	}
	if visits.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	ctx, o := open(t)
	d := newcomer.New(t, 1)
	_, err := connect(t, o, d, transport.Options{}).AccountByName(ctx, "canary-name")
	for _, secret := range []string{"canary", d.Account.String(), d.ID.String()} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q holds %q", err, secret)
		}
	}
}
