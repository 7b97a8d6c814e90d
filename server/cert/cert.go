// Package cert is where the server's certificate comes from, and what a TLS
// connection to it must look like. There are three sources: files that
// somebody else renews (Watch), a certificate that the server makes for itself
// and that clients know by its hash (SelfSigned), and a certificate authority
// that speaks ACME (Manage). SPEC §14.1.
package cert

import (
	"crypto/tls"
	"errors"
	"net/http"

	"github.com/posthorn/posthorn/internal/reject"
)

// Getter finds the certificate for a handshake. It is called from many
// goroutines.
type Getter func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// Errors of this package; test with errors.Is.
var (
	// ErrHandshake: a connection that could be recorded today and read by a
	// quantum computer later, or that is for a challenge and nothing else.
	ErrHandshake = errors.New("cert: handshake refused")
	// ErrPair: certificate and key cannot be read or do not belong together.
	ErrPair = errors.New("cert: certificate and key cannot be used")
	// ErrIncomplete: a folder with a self-signed certificate has lost its key.
	ErrIncomplete = errors.New("cert: the certificate is there and its key is not")
)

// protocols are what a client may ask for above TLS.
var protocols = []string{"h2", "http/1.1"}

// challengeProtocol is what a certificate authority asks for to see that the
// server answers for a name (RFC 8737).
const challengeProtocol = "acme-tls/1"

// Config is the TLS of the server: version 1.3, and only the key exchange
// that joins X25519 with ML-KEM-768. Whoever offers less gets an alert.
func Config(get Getter) *tls.Config {
	return &tls.Config{
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768},
		NextProtos:       protocols,
		GetCertificate:   get,
		VerifyConnection: hybrid,
	}
}

// hybrid looks at what was agreed on, whatever the settings above come to mean
// in a later version of the library.
func hybrid(s tls.ConnectionState) error {
	if s.Version < tls.VersionTLS13 || s.CurveID != tls.X25519MLKEM768 {
		return reject.New("V-160", ErrHandshake, "TLS 1.3 with X25519MLKEM768 is needed")
	}
	return nil
}

// WithChallenges lets a certificate authority, whose software may be older,
// ask for the challenge with any key exchange. Such a connection carries
// nothing else: see Hangup.
func WithChallenges(c *tls.Config) *tls.Config {
	challenge := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{challengeProtocol},
		GetCertificate: c.GetCertificate,
	}
	out := c.Clone()
	out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if AsksForChallenge(hello) {
			return challenge, nil
		}
		return nil, nil
	}
	return out
}

// AsksForChallenge reports whether a handshake is that of an authority which
// wants to see the challenge.
func AsksForChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == challengeProtocol
}

// Hangup makes an HTTP server close connections that were made for a
// challenge, before a request is read. The refusals are given to note.
func Hangup(s *http.Server, note func(*reject.Error)) {
	s.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		challengeProtocol: func(_ *http.Server, c *tls.Conn, _ http.Handler) {
			_ = c.Close()
			note(reject.New("V-161", ErrHandshake, "a challenge carries no requests"))
		},
	}
}
