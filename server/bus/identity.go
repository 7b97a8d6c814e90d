package bus

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

// secure is the option that makes connections go over TLS 1.3, or nil. A file
// for TLS without tls:// in the URL is refused: it would be believed to count.
func secure(o Options) (nats.Option, error) {
	if !strings.Contains(o.URL, "tls://") {
		if o.CA+o.Cert+o.Key != "" {
			return nil, fmt.Errorf("%w: certificates are for an address that begins with tls://", ErrFiles)
		}
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if o.CA != "" {
		text, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFiles, err)
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%w: %s holds no certificate in PEM form", ErrFiles, o.CA)
		}
	}
	if o.Cert+o.Key != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate and key of this node: %w", ErrFiles, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return nats.Secure(config), nil
}

// identify is the option that shows the bus who this node is, or nil. The file
// is read again at each connection, so it may be replaced while a node runs.
func identify(o Options) (nats.Option, error) {
	if o.Credentials == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.Credentials)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFiles, err)
	}
	defer clear(text)
	if bytes.Contains(text, []byte("NATS USER JWT")) {
		return nats.UserCredentials(o.Credentials), nil
	}
	option, err := nats.NkeyOptionFromSeed(o.Credentials)
	if err != nil {
		return nil, fmt.Errorf("%w: %s has neither the credentials of a NATS user nor the seed of an nkey", ErrFiles, o.Credentials)
	}
	return option, nil
}
