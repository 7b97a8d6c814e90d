package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/cert"
)

// ownPair is a certificate for 127.0.0.1 and its key, as files.
func ownPair(t *testing.T, host string) (certFile, keyFile string) {
	t.Helper()
	folder := t.TempDir()
	if _, err := cert.SelfSigned(folder, []string{host}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
}

func TestServeWithCertificate(t *testing.T) {
	certFile, keyFile := ownPair(t, "127.0.0.1")
	s := start(t, t.TempDir(), "--tls-cert", certFile, "--tls-key", keyFile, "--listen", "0.0.0.0:0")
	_, port, _ := strings.Cut(strings.TrimPrefix(s.url, "https://["), "]:")
	address := "127.0.0.1:" + port
	if !strings.HasPrefix(s.url, "https://") {
		t.Fatalf("ready on %s", s.url)
	}
	if code, out, complaint := command(t, "health", "--addr", address, "--ca", certFile); code != 0 || out != "ready\n" {
		t.Errorf("health: exit %d, %q, %s", code, out, complaint)
	}
	for name, more := range map[string][]string{"no TLS": nil, "the system's authorities": {"--tls"}, "another name": {"--ca", certFile, "--tls-name", "example.org"}} {
		if code, _, complaint := command(t, append([]string{"health", "--addr", address}, more...)...); code != exitServer {
			t.Errorf("%s: exit %d, %s", name, code, complaint)
		}
	}
	if code := s.end(); code != 0 {
		t.Errorf("exit %d\n%s", code, &s.stderr)
	}
}

// The certificate that an invite can name by its hash is the one that clients
// see, before and after a restart.
func TestServeSelfSigned(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	var pin string
	for range 2 {
		s := start(t, data, "--tls-self-signed", "--public-address", "chat.example.org:443")
		leaf, err := cert.SelfSignedLeaf(filepath.Join(data, tlsFolder))
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.Sum256(leaf)
		if now := hex.EncodeToString(hash[:]); pin == "" {
			pin = now
		} else if now != pin {
			t.Error("the certificate changed at a restart")
		}
		address := strings.TrimPrefix(s.url, "https://")
		if code, _, complaint := command(t, "health", "--addr", address, "--pin", pin); code != 0 {
			t.Errorf("exit %d, %s", code, complaint)
		}
		wrong := strings.Repeat("00", 32)
		if code, _, complaint := command(t, "health", "--addr", address, "--pin", wrong); code != exitServer || !strings.Contains(complaint, "another hash") {
			t.Errorf("a wrong hash: exit %d, %s", code, complaint)
		}
		parsed, err := x509.ParseCertificate(leaf)
		if err != nil || parsed.VerifyHostname("chat.example.org") != nil {
			t.Errorf("names %v, %v", parsed.DNSNames, err)
		}
		s.end()
	}
}

func TestContradictionsAboutTLS(t *testing.T) {
	certFile, keyFile := ownPair(t, "127.0.0.1")
	_, otherKey := ownPair(t, "127.0.0.1")
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"two ways":       {[]string{"--tls-self-signed", "--tls-cert", certFile, "--tls-key", keyFile}, exitUsage, "one certificate is enough"},
		"two other ways": {[]string{"--tls-self-signed", "--acme-domain", "x.example"}, exitUsage, "one certificate is enough"},
		"no key":         {[]string{"--tls-cert", certFile}, exitUsage, "belong together"},
		"no certificate": {[]string{"--tls-key", keyFile}, exitUsage, "belong together"},
		"and a proxy":    {[]string{"--tls-self-signed", "--behind-proxy"}, exitUsage, "leaves TLS to it"},
		"no domain":      {[]string{"--acme-email", "ops@example.org"}, exitUsage, "need --acme-domain"},
		"missing file":   {[]string{"--tls-cert", certFile + "x", "--tls-key", keyFile}, exitUser, "PEM"},
		"foreign key":    {[]string{"--tls-cert", certFile, "--tls-key", otherKey}, exitUser, "belongs to the certificate"},
		"no roots":       {[]string{"--acme-domain", "x.example", "--acme-ca-roots", keyFile}, exitUser, "holds no certificate"},
	} {
		args := append([]string{"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0"}, c.args...)
		if code, _, complaint := command(t, args...); code != c.code || !strings.Contains(complaint, c.says) {
			t.Errorf("%s: exit %d, %s", name, code, complaint)
		}
	}
	if code, _, complaint := command(t, "health", "--pin", "12"); code != exitUsage || !strings.Contains(complaint, "64 hexadecimal") {
		t.Errorf("a short pin: exit %d, %s", code, complaint)
	}
}

// A certificate authority that speaks ACME gives the server a certificate by
// its challenge, and clients that trust the authority are served.
func TestCertificateFromAnAuthority(t *testing.T) {
	domain := "posthorn.test"
	ca := startAuthority(t)
	s := start(t, t.TempDir(), "--listen", ca.target, "--acme-domain", domain, "--acme-email", "ops@example.org",
		"--acme-ca", ca.directory, "--acme-ca-roots", ca.roots)
	issuer := filepath.Join(t.TempDir(), "issuer.pem")
	if err := os.WriteFile(issuer, ca.root(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(testPatience); ; time.Sleep(200 * time.Millisecond) {
		code, _, complaint := command(t, "health", "--addr", ca.target, "--ca", issuer, "--tls-name", domain)
		if code == 0 {
			break
		}
		if time.Now().After(end) {
			s.end()
			t.Fatalf("no certificate: %s\n%s\n%s", complaint, &s.stderr, ca.log(t))
		}
	}
	conn, err := tls.Dial("tcp", ca.target, &tls.Config{InsecureSkipVerify: true}) // by address alone
	if err != nil {
		t.Fatal(err)
	}
	if names := conn.ConnectionState().PeerCertificates[0].DNSNames; len(names) != 1 || names[0] != domain {
		t.Errorf("the certificate names %v", names)
	}
	_ = conn.Close()
	if code := s.end(); code != 0 || !bytes.Contains(s.stderr.Bytes(), []byte("certificate obtained")) {
		t.Errorf("exit %d\n%s", code, &s.stderr)
	}
}
