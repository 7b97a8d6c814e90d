// Package authority gets the server's certificate from a certificate authority
// that speaks ACME, and renews it.
package authority

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/posthorn/posthorn/server/cert"
)

// ErrPending: the authority has not given a certificate yet.
var ErrPending = errors.New("authority: no certificate from the authority yet")

// Options say which certificate authority to ask, and for what.
type Options struct {
	// Domain is the name that the certificate is for.
	Domain string
	// Directory is the authority's ACME address; empty means Let's Encrypt.
	Directory string
	// Email is where the authority writes before a certificate ends. Optional.
	Email string
	// Folder keeps the account with the authority, keys and certificates.
	Folder string
	// Roots are whom the authority's own certificate is checked against; nil
	// means those of the system.
	Roots *x509.CertPool
	// Address is where the server listens. The authority must reach it as port
	// 443 of the domain.
	Address net.Addr
	// Log gets what became of each attempt.
	Log *slog.Logger
}

// Managed is a certificate that an authority gives and renews.
type Managed struct {
	config *certmagic.Config
	cache  *certmagic.Cache
	domain string
}

// Manage obtains a certificate in the background, by answering the authority's
// challenge on the server's own port, and renews it until ctx ends. Handshakes
// fail until the first one is there; see Ready.
func Manage(ctx context.Context, o Options) (*Managed, error) {
	m := &Managed{domain: o.Domain}
	silent := zap.NewNop() // its messages would come in another form than ours
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m.config, nil },
		Logger:           silent,
	})
	context.AfterFunc(ctx, m.cache.Stop)
	m.config = certmagic.New(m.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: o.Folder},
		OCSP:    certmagic.OCSPConfig{DisableStapling: true},
		OnEvent: o.note,
		Logger:  silent,
	})
	issuer, err := o.issuer(m.config, silent)
	if err != nil {
		return nil, err
	}
	m.config.Issuers = []certmagic.Issuer{issuer}
	if err := m.config.ManageAsync(ctx, []string{o.Domain}); err != nil {
		return nil, fmt.Errorf("authority: no certificate can be asked for: %w", err)
	}
	return m, nil
}

func (o *Options) issuer(c *certmagic.Config, silent *zap.Logger) (certmagic.Issuer, error) {
	host, text, err := net.SplitHostPort(o.Address.String())
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	return certmagic.NewACMEIssuer(c, certmagic.ACMEIssuer{
		CA: o.Directory, Email: o.Email, Agreed: true, TrustedRoots: o.Roots,
		DisableHTTPChallenge: true, ListenHost: host, AltTLSALPNPort: port, Logger: silent,
	}), nil
}

// note logs what an operator has to know. The domain is public, but the
// configuration has it already.
func (o *Options) note(_ context.Context, event string, what map[string]any) error {
	switch event {
	case "cert_obtained":
		o.Log.Info("certificate obtained", "renewal", what["renewal"])
	case "cert_failed":
		o.Log.Error("no certificate obtained; it is tried again", "renewal", what["renewal"], "error", what["error"])
	}
	return nil
}

// Get is the newest certificate, or the answer to a challenge.
func (m *Managed) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName == "" && !cert.AsksForChallenge(hello) {
		named := *hello // a client that dialled an address gets the one certificate there is
		named.ServerName = m.domain
		hello = &named
	}
	return m.config.GetCertificate(hello)
}

// Ready is nil once there is a certificate. ErrPending.
func (m *Managed) Ready() error {
	if len(m.cache.AllMatchingCertificates(m.domain)) == 0 {
		return ErrPending
	}
	return nil
}
