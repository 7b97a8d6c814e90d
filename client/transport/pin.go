package transport

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/invite"
)

// Errors of a connection that does not prove itself. Nothing was sent on it.
var (
	// ErrCertificate: the server's certificate is not the one that an invite
	// named, or, without one, no authority that this system trusts vouches for it.
	ErrCertificate = errors.New("transport: the server's certificate does not prove itself, nothing was sent")
	// ErrClassical: the server has no post-quantum key exchange, or not TLS 1.3.
	ErrClassical = errors.New("transport: the server offers no post-quantum TLS, nothing was sent")
)

// tlsConfig wants TLS 1.3 with the hybrid key exchange, whoever the server is.
// With a pin it takes that one certificate and needs nobody to vouch for it; so
// it does for calls to anyone.
func tlsConfig(options Options) *tls.Config {
	pin := options.Pin
	c := &tls.Config{
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768},
		VerifyConnection: func(s tls.ConnectionState) error { return verify(s, pin) },
	}
	if pin != nil || options.Anyone {
		c.InsecureSkipVerify = true // verify compares the whole certificate instead, or nobody has to be known
	}
	return c
}

// verify judges a handshake whose signatures have been checked.
func verify(s tls.ConnectionState, pin *invite.Fingerprint) error {
	if s.Version != tls.VersionTLS13 || s.CurveID != tls.X25519MLKEM768 {
		return reject.New("V-157", ErrClassical, "")
	}
	if pin != nil && (len(s.PeerCertificates) == 0 || sha256.Sum256(s.PeerCertificates[0].Raw) != *pin) {
		return reject.New("V-156", ErrCertificate, "it is not the one that the invite named")
	}
	return nil
}

// noCommonTLS are the ends of a handshake with a server that has no version or
// key exchange in common with what tlsConfig offers: what Go says, and what
// other servers answer.
var noCommonTLS = []string{
	"server selected unsupported protocol version", "server selected unsupported group", "server selected unsupported curve",
	"tls: handshake failure", "tls: protocol version not supported", "tls: insufficient security level",
}

// untrusted finds out whether a call failed because the connection does not
// prove itself, which is not the same as having no connection.
func untrusted(err error) (sentinel error, ok bool) {
	if errors.Is(err, ErrClassical) {
		return ErrClassical, true
	}
	if _, bad := errors.AsType[*tls.CertificateVerificationError](err); bad || errors.Is(err, ErrCertificate) {
		return ErrCertificate, true
	}
	text := err.Error()
	if failed, remote := errors.AsType[*net.OpError](err); remote && failed.Op == "remote error" {
		text = failed.Err.Error()
	}
	for _, end := range noCommonTLS {
		if strings.Contains(text, end) {
			return ErrClassical, true
		}
	}
	return nil, false
}
