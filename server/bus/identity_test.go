package bus_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/bus"
	"github.com/posthorn/posthorn/server/bus/bustest"
)

// authority signs certificates for a test.
type authority struct {
	t      *testing.T
	folder string
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, folder: t.TempDir(), key: key}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.folder, name) }

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue makes name.pem and name.key, good for a server on the loopback address
// and for a client.
func (a *authority) issue(name string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", private)
}

// turnedAway joins a node that must not get in, and waits until the log says
// why.
func turnedAway(t *testing.T, o bus.Options, why string) {
	t.Helper()
	var log diary
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	b := join(t, o, "stranger", &inbox{})

	until(t, "it is said that "+why, func() bool { return b.Up() || strings.Contains(log.String(), why) })
	if strings.Contains(log.String(), "canary") || strings.Contains(log.String(), "127.0.0.1") {
		t.Errorf("the log: %s", log.String())
	}
	if b.Up() || b.Reached() > 0 {
		t.Error("it got in")
	}
}

// Over TLS two nodes reach a server whose authority they know and to which they
// show a certificate; nobody gets in without either, and no node talks to a
// server that it cannot verify or without TLS.
func TestBusOverTLS(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	a.issue("server")
	a.issue("node")
	other.issue("node")
	nats := bustest.Start(t, "--tlsverify", "--tlscert", a.file("server.pem"), "--tlskey", a.file("server.key"), "--tlscacert", a.file("ca.pem"), "--auth", "token-canary")
	good := bus.Options{URL: strings.Replace(nats.URL(), "nats://", "tls://token-canary@", 1), CA: a.file("ca.pem"), Cert: a.file("node.pem"), Key: a.file("node.key")}
	var in inbox
	one := join(t, good, "one", &inbox{})
	two := join(t, good, "two", &in)
	until(t, "both are up", func() bool { return one.Up() && two.Up() })
	until(t, "a message arrives", func() bool {
		one.Send("two", []byte("sealed"))
		n, _ := in.state()
		return n > 0
	})
	nats.Kill()
	until(t, "the loss is noticed", func() bool { return !one.Up() })
	nats.Restart()
	until(t, "it is reached again", func() bool { return one.Up() && one.Reached() == 2 && one.Lost() > 0 })

	const untrusted, unwanted = "is not one that is trusted", "cannot be set up"
	for name, c := range map[string]struct {
		spoil func(*bus.Options)
		why   string
	}{
		"an unknown authority":   {func(o *bus.Options) { o.CA = other.file("ca.pem") }, untrusted},
		"the system's alone":     {func(o *bus.Options) { o.CA = "" }, untrusted},
		"no certificate":         {func(o *bus.Options) { o.Cert, o.Key = "", "" }, unwanted},
		"somebody's certificate": {func(o *bus.Options) { o.Cert, o.Key = other.file("node.pem"), other.file("node.key") }, unwanted},
		"a wrong token":          {func(o *bus.Options) { o.URL = strings.Replace(o.URL, "token", "taken", 1) }, "authorization violation"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			c.spoil(&o)
			turnedAway(t, o, c.why)
		})
	}
	t.Run("a server without TLS", func(t *testing.T) {
		plain := bustest.Start(t)
		o := good
		o.URL = strings.Replace(plain.URL(), "nats://", "tls://", 1)
		turnedAway(t, o, "secure connection not available")
	})
}

// The seed of an nkey in a file gets in, and a user without it does not.
func TestBusWithAnNkey(t *testing.T) {
	user, stranger := newNkey(t, userKey), newNkey(t, userKey)
	folder := t.TempDir()
	config, right, bad := filepath.Join(folder, "nats.conf"), filepath.Join(folder, "right"), filepath.Join(folder, "bad")
	for file, text := range map[string]string{config: fmt.Sprintf("authorization { users = [ { nkey: %s } ] }", user.public()), right: user.seed() + "\n", bad: stranger.seed()} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nats := bustest.Start(t, "-c", config)
	node := join(t, bus.Options{URL: nats.URL(), Credentials: right}, "one", &inbox{})
	until(t, "it is up", node.Up)
	turnedAway(t, bus.Options{URL: nats.URL(), Credentials: bad}, "authorization violation")
	turnedAway(t, bus.Options{URL: nats.URL()}, "authorization violation")
}

func TestBusFilesThatCannotBeUsed(t *testing.T) {
	a := newAuthority(t)
	a.issue("node")
	a.issue("other")
	none := a.file("none")
	for name, o := range map[string]bus.Options{
		"no such authority":        {URL: "tls://h", CA: none},
		"an authority of no kind":  {URL: "tls://h", CA: a.file("node.key")},
		"no such certificate":      {URL: "tls://h", Cert: none, Key: a.file("node.key")},
		"a key of another":         {URL: "tls://h", Cert: a.file("node.pem"), Key: a.file("other.key")},
		"a certificate alone":      {URL: "tls://h", Cert: a.file("node.pem")},
		"an authority without TLS": {URL: "nats://h", CA: a.file("ca.pem")},
		"no such credentials":      {URL: "nats://h", Credentials: none},
		"credentials of no kind":   {URL: "nats://h", Credentials: a.file("node.key")},
	} {
		_, err := bus.New(o)
		if key, _ := os.ReadFile(a.file("node.key")); !errors.Is(err, bus.ErrFiles) || bytes.Contains([]byte(err.Error()), key) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
