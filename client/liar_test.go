package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api/apitest"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// liar stands between one client and a real server, and is the malicious server
// of the tests: it passes everything on until it is told how to lie.
type liar struct {
	url string

	mu      sync.Mutex
	honest  *url.URL
	log     *url.URL // where look-ups and the log come from
	account func(*posthornv1.GetAccountResponse)
	head    func(*posthornv1.GetHeadResponse)
	silent  bool              // look-ups get no answer
	says    map[string]string // by the end of a path: the reason for which every call is refused
	removal func(*posthornv1.FindRemovalResponse)
	ahead   *posthornv1.Seat // what a refused login is shown
	asked   int              // calls so far
}

func openLiar(t *testing.T, target string) *liar {
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{honest: to, log: to}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { l.route(r.Out); r.Out.Host = r.In.Host },
		ModifyResponse: l.lie,
		FlushInterval:  -1,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.CloseClientConnections)
	t.Cleanup(front.Close)
	l.url = front.URL
	return l
}

// route sends what is about names to where the lies are.
func (l *liar) route(out *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := l.honest
	if strings.Contains(out.URL.Path, "TransparencyService") || strings.HasSuffix(out.URL.Path, "/GetAccount") {
		to = l.log
	}
	out.URL.Scheme, out.URL.Host = to.Scheme, to.Host
}

func (l *liar) lie(r *http.Response) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if reason := l.refuses(r.Request.URL.Path); reason != "" {
		return apitest.Refuse(r, reason, l.ahead)
	}
	switch path := r.Request.URL.Path; {
	case strings.HasSuffix(path, "/FindRemoval") && l.removal != nil:
		r.Body, r.StatusCode = io.NopCloser(strings.NewReader("")), http.StatusOK
		r.Header = http.Header{"Content-Type": {"application/proto"}}
		return rewrite(r, &posthornv1.FindRemovalResponse{}, l.removal)
	case strings.HasSuffix(path, "/GetAccount") && l.silent:
		r.Body, r.ContentLength, r.StatusCode = io.NopCloser(strings.NewReader("")), 0, http.StatusServiceUnavailable
		r.Header = http.Header{}
		return nil
	case r.StatusCode != http.StatusOK:
		return nil
	case strings.HasSuffix(path, "/GetAccount") && l.account != nil:
		return rewrite(r, &posthornv1.GetAccountResponse{}, l.account)
	case strings.HasSuffix(path, "/GetHead") && l.head != nil:
		return rewrite(r, &posthornv1.GetHeadResponse{}, l.head)
	}
	return nil
}

// refuses is the reason for which a call is refused, or empty.
func (l *liar) refuses(path string) string {
	for end, reason := range l.says {
		if strings.HasSuffix(path, end) {
			return reason
		}
	}
	return ""
}

// word refuses calls for a reason that is not true.
func (l *liar) word(reason string, ends ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.says = map[string]string{}
	for _, end := range ends {
		l.says[end] = reason
	}
}

// showsLogin is what a refused login is shown as the one that it is behind.
func (l *liar) showsLogin(ahead *posthornv1.Seat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead = ahead
}

// showsRemoval answers a device that asks for its removal.
func (l *liar) showsRemoval(statements [][]byte, proof []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removal = func(m *posthornv1.FindRemovalResponse) { m.Statements, m.Proof = statements, proof }
}

// calls is how often the client has called.
func (l *liar) calls() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

func rewrite[M proto.Message](r *http.Response, m M, change func(M)) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(raw, m); err != nil {
		return err
	}
	change(m)
	if raw, err = proto.Marshal(m); err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	r.Header.Set("Content-Length", fmt.Sprint(len(raw)))
	return nil
}

// about lies in answers about one name.
func (l *liar) about(name account.Name, change func(*posthornv1.GetAccountResponse)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.account = func(m *posthornv1.GetAccountResponse) {
		if m.GetName() == string(name) {
			change(m)
		}
	}
}

// withholds answers to look-ups, and lets the rest through.
func (l *liar) withholds(silent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = silent
}

// heads lies about the newest checkpoint; with nil no more.
func (l *liar) heads(change func(*posthornv1.GetHeadResponse)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = change
}

// answers lies in the proof about one name.
func (l *liar) answers(name account.Name, change func(*kt.Answer)) {
	l.about(name, func(m *posthornv1.GetAccountResponse) {
		a, err := kt.ParseAnswer(m.GetProof())
		if err != nil {
			return
		}
		change(a)
		m.Proof = a.Marshal()
	})
}

func (l *liar) shows(target string) {
	to, err := url.Parse(target)
	if err != nil {
		panic(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log = to
}

func (l *liar) honestAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.account, l.log, l.says, l.removal, l.ahead = nil, l.honest, nil, nil, nil
}

// town is a world whose server has a log, with a liar before each client.
type town struct {
	*world
	keys  string // folder with the keys of the log
	liars map[*Client]*liar
	log   *ktlog.Log // of the first server
}

func newTown(t *testing.T) *town {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, homes: map[*Client]Config{}}
	tn := &town{world: w, keys: filepath.Join(t.TempDir(), "keys"), liars: map[*Client]*liar{}}
	kept := memory.New()
	t.Cleanup(func() { _ = kept.Close() })
	w.office = &office{t: t, store: kept, url: tn.serve(kept, kept)}
	return tn
}

// serve runs a server over a store with a log in another, signed with the same
// keys as every log of the town. It gives the address.
func (tn *town) serve(kept, records store.Store) string {
	tn.t.Helper()
	l, err := ktlog.Open(tn.ctx, ktlog.Options{
		Folder: filepath.Join(tn.t.TempDir(), "kt"), KeysFolder: tn.keys, Records: records, Interval: time.Millisecond, Now: time.Now,
	})
	if err != nil {
		tn.t.Fatal(err)
	}
	if tn.log == nil {
		tn.log = l
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tn.t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	srv := server.New(kept, server.Options{OpenRegistration: true, Transparency: l})
	go func() { ended <- srv.Serve(ctx, listener) }()
	tn.t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			tn.t.Errorf("serve: %v", err)
		}
		_ = l.Close()
	})
	srv.Prepare(tn.ctx)
	return "http://" + listener.Addr().String()
}

// person registers somebody behind a liar that does not lie yet.
func (tn *town) person(name account.Name) *Client {
	tn.t.Helper()
	l := openLiar(tn.t, tn.office.url)
	cfg := testConfig(filepath.Join(tn.t.TempDir(), string(name)))
	c, err := Register(tn.ctx, cfg, name, l.url)
	if err != nil {
		tn.t.Fatalf("register %s: %v", name, err)
	}
	tn.adopt(c, cfg)
	tn.liars[c] = l
	return c
}
