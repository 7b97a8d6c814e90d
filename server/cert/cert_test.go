package cert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/internal/reject"
)

func TestMain(m *testing.M) { machine.Leakless(m) }

// host serves HTTP over a TLS configuration until the test ends. What it
// notes of challenge connections goes to notes.
type host struct {
	addr  string
	notes chan error
}

func serve(t *testing.T, c *tls.Config) *host {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{l.Addr().String(), make(chan error, 1)}
	s := &http.Server{
		TLSConfig: c, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }),
	}
	Hangup(s, func(err *reject.Error) { h.notes <- err })
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return h
}

// ownCert is a self-signed certificate for the loopback address.
func ownCert(t *testing.T) (folder string, get Getter, roots *x509.CertPool) {
	t.Helper()
	folder = t.TempDir()
	get, err := SelfSigned(folder, []string{"127.0.0.1", "chat.example.org"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := SelfSignedLeaf(folder)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(leaf)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return folder, get, roots
}

// shake makes a handshake, and returns an error of the server's alert too.
func (h *host) shake(c *tls.Config) error {
	conn, err := tls.Dial("tcp", h.addr, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(conn)
	if err == nil && !bytes.Contains(text, []byte("200 OK")) {
		err = errors.New("no answer")
	}
	return err
}

// A client without the hybrid exchange, or with an older version, is refused.
func TestHandshakesV160(t *testing.T) {
	_, get, roots := ownCert(t)
	h := serve(t, Config(get))
	if err := h.shake(&tls.Config{RootCAs: roots}); err != nil {
		t.Fatalf("an ordinary client: %v", err)
	}
	for name, c := range map[string]*tls.Config{
		"X25519 alone":         {CurvePreferences: []tls.CurveID{tls.X25519}},
		"all but the hybrid":   {CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}},
		"a hybrid with P-256":  {CurvePreferences: []tls.CurveID{tls.SecP256r1MLKEM768}},
		"TLS 1.2":              {MaxVersion: tls.VersionTLS12},
		"a challenge, unasked": {NextProtos: []string{challengeProtocol}},
	} {
		c.RootCAs = roots
		if err := h.shake(c); err == nil || !strings.Contains(err.Error(), "remote error: tls:") {
			t.Errorf("%s: %v, want an alert from the server", name, err)
		}
	}
	for name, s := range map[string]tls.ConnectionState{
		"version":  {Version: tls.VersionTLS12, CurveID: tls.X25519MLKEM768},
		"exchange": {Version: tls.VersionTLS13, CurveID: tls.X25519},
		"nothing":  {},
	} {
		if err := hybrid(s); !errors.Is(err, ErrHandshake) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBothVersionsOfHTTP(t *testing.T) {
	_, get, roots := ownCert(t)
	h := serve(t, Config(get))
	for _, want := range []string{"HTTP/1.1", "HTTP/2.0"} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(want == "HTTP/1.1")
		protocols.SetHTTP2(want == "HTTP/2.0")
		network := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: roots}}
		answer, err := (&http.Client{Transport: network}).Get("https://" + h.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(answer.Body); string(got) != want {
			t.Errorf("%s, want %s", got, want)
		}
		_ = answer.Body.Close()
		network.CloseIdleConnections()
	}
}

// A connection that came in by the challenge's door carries no request, however
// the client begins.
func TestChallengeCarriesNothingV161(t *testing.T) {
	_, get, roots := ownCert(t)
	h := serve(t, WithChallenges(Config(get)))
	old := &tls.Config{RootCAs: roots, NextProtos: []string{challengeProtocol}, CurvePreferences: []tls.CurveID{tls.X25519}, MaxVersion: tls.VersionTLS12}
	if err := h.shake(old); err == nil {
		t.Error("a request was answered")
	}
	if err := <-h.notes; !errors.Is(err, ErrHandshake) || !strings.Contains(err.Error(), "V-161") {
		t.Errorf("noted %v", err)
	}
	for name, protos := range map[string][]string{"with another": {challengeProtocol, "http/1.1"}, "none": nil} {
		c := &tls.Config{RootCAs: roots, NextProtos: protos, CurvePreferences: []tls.CurveID{tls.X25519}}
		if err := h.shake(c); err == nil || !strings.Contains(err.Error(), "remote error: tls:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSelfSignedIsMadeOnce(t *testing.T) {
	folder, _, _ := ownCert(t)
	leaf, err := SelfSignedLeaf(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SelfSigned(folder, []string{"other.example.org"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	again, err := SelfSignedLeaf(folder)
	if err != nil || !bytes.Equal(leaf, again) {
		t.Errorf("another certificate, %v", err)
	}
	c, err := x509.ParseCertificate(leaf)
	if err != nil {
		t.Fatal(err)
	}
	if c.VerifyHostname("127.0.0.1") != nil || c.VerifyHostname("chat.example.org") != nil || c.VerifyHostname("other.example.org") == nil {
		t.Errorf("names %v, addresses %v", c.DNSNames, c.IPAddresses)
	}
	if c.PublicKeyAlgorithm != x509.ECDSA || c.IsCA || time.Until(c.NotAfter) < 20*365*24*time.Hour {
		t.Errorf("%v, authority %v, until %v", c.PublicKeyAlgorithm, c.IsCA, c.NotAfter)
	}
	if info, err := os.Stat(filepath.Join(folder, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSelfSignedDamage(t *testing.T) {
	folder, _, _ := ownCert(t)
	if err := os.Remove(filepath.Join(folder, keyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := SelfSigned(folder, nil, time.Now()); !errors.Is(err, ErrIncomplete) {
		t.Errorf("without its key: %v", err)
	}
	if err := os.WriteFile(filepath.Join(folder, keyFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SelfSigned(folder, nil, time.Now()); !errors.Is(err, ErrPair) {
		t.Errorf("with a broken key: %v", err)
	}
	if _, err := SelfSignedLeaf(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no certificate: %v", err)
	}
}

// notebook is a log that may be read while it is written.
type notebook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notebook) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notebook) has(s string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Contains(n.text.String(), s)
}

// A renewed certificate is shown without a restart; a broken one is not.
func TestFilesAreReadAgain(t *testing.T) {
	from, _, _ := ownCert(t)
	certPath, keyPath := filepath.Join(from, certFile), filepath.Join(from, keyFile)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var notes notebook
	f, err := Watch(ctx, certPath, keyPath, slog.New(slog.NewTextHandler(&notes, nil)))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := f.Get(nil)
	if err := os.WriteFile(certPath, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return notes.has("cannot be used") && notes.has("PEM") })
	if now, _ := f.Get(nil); now != before {
		t.Error("a broken certificate took the place of a good one")
	}
	renewed, _, _ := ownCert(t)
	for _, name := range []string{keyFile, certFile} {
		b, err := os.ReadFile(filepath.Join(renewed, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := SelfSignedLeaf(renewed)
	if err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { now, _ := f.Get(nil); return bytes.Equal(now.Certificate[0], want) })
}

func TestFilesThatCannotBeRead(t *testing.T) {
	a, _, _ := ownCert(t)
	b, _, _ := ownCert(t)
	for name, pair := range map[string][2]string{
		"missing":  {filepath.Join(a, "none.pem"), filepath.Join(a, keyFile)},
		"strange":  {filepath.Join(a, keyFile), filepath.Join(a, keyFile)},
		"a couple": {filepath.Join(a, certFile), filepath.Join(b, keyFile)},
	} {
		if _, err := Watch(t.Context(), pair[0], pair[1], slog.New(slog.DiscardHandler)); !errors.Is(err, ErrPair) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// await waits for something to become true.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen within three minutes")
		}
	}
}
