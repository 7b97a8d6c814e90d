package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
	"github.com/posthorn/posthorn/server/store/pebble"
)

func TestMain(m *testing.M) {
	machine.Wide(6)
	machine.Leakless(m)
}

// office is a server that answers on a loopback port.
type office struct {
	t     *testing.T
	store store.Store
	srv   *Server
	addr  string
	end   context.CancelFunc
	ended chan error
	reads *meter
}

// open starts a server with open registration over an empty store in memory.
func open(t *testing.T) *office {
	t.Helper()
	return openOver(t, memory.New(), Options{OpenRegistration: true})
}

// openOver starts a server and stops it, with its store, when the test ends.
func openOver(t *testing.T, s store.Store, options Options) *office {
	t.Helper()
	l, err := Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := &office{t: t, store: s, srv: New(s, options), addr: l.Addr().String(), end: cancel, ended: make(chan error, 1)}
	if err := o.srv.Join(ctx); err != nil {
		t.Fatal(err)
	}
	o.reads = &meter{Listener: l}
	go func() { o.ended <- o.srv.Serve(ctx, o.reads) }()
	t.Cleanup(func() {
		o.close()
		if err := s.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Errorf("closing the store: %v", err)
		}
	})
	return o
}

// close stops the server; a second call does nothing.
func (o *office) close() {
	o.t.Helper()
	if o.end == nil {
		return
	}
	o.end()
	o.end = nil
	if err := <-o.ended; err != nil {
		o.t.Errorf("serve: %v", err)
	}
}

// stores are what the tests of whole stories run over.
func stores(t *testing.T, story func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) { story(t, memory.New()) })
	t.Run("pebble", func(t *testing.T) {
		s, err := pebble.Open(t.TempDir(), pebble.Options{})
		if err != nil {
			t.Fatal(err)
		}
		story(t, s)
	})
}

// line is one client's connection to the server.
type line struct {
	http      *http.Transport
	auth      posthornv1connect.AuthServiceClient
	directory posthornv1connect.DirectoryServiceClient
	mailbox   posthornv1connect.MailboxServiceClient

	attachments posthornv1connect.AttachmentServiceClient
}

// dial connects over HTTP/1.1.
func (o *office) dial() *line { return o.connect(false) }

// connect connects over HTTP/1.1, or HTTP/2 without TLS.
func (o *office) connect(h2c bool) *line { return o.connectAs(o.addr, h2c) }

// connectAs connects to this server under the address that people know it by,
// as something that spreads callers over several nodes does.
func (o *office) connectAs(known string, h2c bool) *line {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2c)
	protocols.SetUnencryptedHTTP2(h2c)
	network := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, o.addr)
	}}
	o.t.Cleanup(network.CloseIdleConnections)
	client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: network}, "http://"+known, connecthttp.WithReadMaxBytes(20<<20)))
	return &line{
		network, posthornv1connect.NewAuthServiceClient(client),
		posthornv1connect.NewDirectoryServiceClient(client), posthornv1connect.NewMailboxServiceClient(client),
		posthornv1connect.NewAttachmentServiceClient(client),
	}
}

// bearing is a context whose calls carry an Authorization header.
func bearing(t *testing.T, header string) context.Context {
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Authorization", header)
	return ctx
}

func bearer(t *testing.T, token string) context.Context { return bearing(t, "Bearer "+token) }

// detailOf is the detail of a refusal.
func detailOf(t *testing.T, err error) *posthornv1.ErrorDetail {
	t.Helper()
	failed, ok := errors.AsType[*connect.Error](err)
	if !ok || len(failed.Details()) != 1 {
		t.Fatalf("no refusal with a detail: %v", err)
	}
	detail, err := connectproto.UnmarshalErrorDetail(failed.Details()[0])
	if err != nil {
		t.Fatal(err)
	}
	return detail.(*posthornv1.ErrorDetail)
}

// wantRefusal checks the code and reason that a call was refused with.
func wantRefusal(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	if connect.CodeOf(err) != code {
		t.Fatalf("refused with %v, want %v", err, code)
	}
	if detail := detailOf(t, err); detail.GetReason() != reason || detail.GetHint() == "" {
		t.Fatalf("refused with reason %q and hint %q, want %q and a hint", detail.GetReason(), detail.GetHint(), reason)
	}
}

// get reads a page of the server.
func (o *office) get(path string) (int, string) {
	o.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Minute}
	answer, err := client.Get("http://" + o.addr + path)
	if err != nil {
		o.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}
