package transport_test

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/client/transport/newcomer"
	"github.com/posthorn/posthorn/invite"
	"github.com/posthorn/posthorn/server/cert"
)

// secured is a TLS server that counts the requests that reach it.
func secured(t *testing.T, change func(*tls.Config)) (url string, pin invite.Fingerprint, requests *atomic.Int32) {
	t.Helper()
	folder := t.TempDir()
	get, err := cert.SelfSigned(folder, []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := cert.SelfSignedLeaf(folder)
	if err != nil {
		t.Fatal(err)
	}
	requests = &atomic.Int32{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusTeapot)
	}))
	s.TLS = &tls.Config{GetCertificate: get, NextProtos: []string{"h2", "http/1.1"}}
	change(s.TLS)
	s.Config.ErrorLog = nil
	s.StartTLS()
	s.TLS.Certificates = nil // httptest adds one of its own
	t.Cleanup(s.Close)
	return s.URL, sha256.Sum256(leaf), requests
}

// reach makes one call and says how it ended.
func reach(t *testing.T, url string, pin *invite.Fingerprint) error {
	t.Helper()
	c, err := transport.New(url, newcomer.New(t, 1).Device, transport.Options{Pin: pin})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Reach(t.Context())
}

func TestV156ServerCertificate(t *testing.T) {
	url, pin, requests := secured(t, func(*tls.Config) {})
	if err := reach(t, url, &pin); errors.Is(err, transport.ErrCertificate) || requests.Load() != 1 {
		t.Errorf("the certificate of the invite: %v, %d requests", err, requests.Load())
	}
	requests.Store(0)
	other := pin
	other[31] ^= 1
	for name, pinned := range map[string]*invite.Fingerprint{"another certificate": &other, "nobody vouches for it": nil} {
		err := reach(t, url, pinned)
		if !errors.Is(err, transport.ErrCertificate) || errors.Is(err, transport.ErrOffline) || requests.Load() != 0 {
			t.Errorf("%s: %v, %d requests arrived", name, err, requests.Load())
		}
		if pinned != nil && !strings.Contains(errorsChain(err), "V-156") {
			t.Errorf("%s: the check is not named in %s", name, errorsChain(err))
		}
	}
}

// errorsChain is the text of an error and of those below it.
func errorsChain(err error) string {
	text := err.Error()
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			if e != nil {
				text += "; " + errorsChain(e)
			}
		}
	}
	if one := errors.Unwrap(err); one != nil {
		text += "; " + errorsChain(one)
	}
	return text
}

// TestV157ClassicalTLSIsRefused: a server that offers what a quantum computer
// opens one day, with the right certificate, gets no request.
func TestV157ClassicalTLSIsRefused(t *testing.T) {
	for name, change := range map[string]func(*tls.Config){
		"X25519 only":      func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} },
		"P-256 and X25519": func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256, tls.X25519} },
		"TLS 1.2":          func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
	} {
		t.Run(name, func(t *testing.T) {
			url, pin, requests := secured(t, change)
			for _, pinned := range []*invite.Fingerprint{&pin, nil} {
				if err := reach(t, url, pinned); !errors.Is(err, transport.ErrClassical) || requests.Load() != 0 {
					t.Errorf("%v, %d requests arrived", err, requests.Load())
				}
			}
		})
	}
}

// A server that is not there is offline, whatever it was known by.
func TestAPinnedServerCanBeOffline(t *testing.T) {
	var pin invite.Fingerprint
	if err := reach(t, "https://127.0.0.1:1", &pin); !errors.Is(err, transport.ErrOffline) {
		t.Errorf("%v", err)
	}
}
