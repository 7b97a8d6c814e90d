package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout bounds one health check.
const healthTimeout = 5 * time.Second

// healthOptions say whom to ask and how to know it.
type healthOptions struct {
	address string
	tls     bool
	ca      string
	pin     string
	name    string
}

func newHealth(a *app) *cobra.Command {
	o := healthOptions{}
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running server whether it is ready",
		Long: `Ask a running server whether it is ready. The exit code is 0 when it is, and 3
when it is not or does not answer. A server with TLS is checked against the
authorities of the system, those in --ca, or the hash of its certificate.`,
		Example: "  posthornd health\n  posthornd health --addr 127.0.0.1:7480 --ca cert.pem",
		Args:    noArguments,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.address, "addr", defaultAddress, "`host:port` of the server")
	flags.BoolVar(&o.tls, "tls", false, "the server has a certificate that the system trusts")
	flags.StringVar(&o.ca, "ca", "", "PEM `file` with the authority of the server's certificate, or a self-signed one; implies --tls")
	flags.StringVar(&o.pin, "pin", "", "SHA-256 of the server's certificate in `hex`; implies --tls")
	flags.StringVar(&o.name, "tls-name", "", "`name` in the certificate, when it is not that of --addr")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		secure, err := o.config(cmd)
		if err != nil {
			return err
		}
		if err := ask(cmd.Context(), o.address, secure); err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.stdout, "ready")
		return err
	}
	return cmd
}

// config is what the server's certificate must be; nil means plain HTTP.
func (o *healthOptions) config(cmd *cobra.Command) (*tls.Config, error) {
	if !o.tls && o.ca == "" && o.pin == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: o.name}
	if o.ca != "" {
		roots, err := pool(o.ca)
		if err != nil {
			return nil, err
		}
		c.RootCAs = roots
	}
	if o.pin == "" {
		return c, nil
	}
	pin, err := hex.DecodeString(o.pin)
	if err != nil || len(pin) != sha256.Size {
		return nil, usage(cmd, "--pin is 64 hexadecimal digits")
	}
	c.InsecureSkipVerify = true // the hash stands in for the chain
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if hash := sha256.Sum256(s.PeerCertificates[0].Raw); !bytes.Equal(hash[:], pin) {
			return errors.New("its certificate has another hash")
		}
		return nil
	}
	return c, nil
}

// ask makes one health check.
func ask(ctx context.Context, address string, secure *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	scheme := "http"
	if secure != nil {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+"/healthz", nil)
	if err != nil || request.URL.Host != address {
		return &failure{exitUsage, "the address cannot be used", "write it as HOST:PORT"}
	}
	network := &http.Transport{DisableKeepAlives: true, TLSClientConfig: secure} // no proxy: the server is asked itself
	answer, err := network.RoundTrip(request)
	if err != nil {
		return &failure{exitServer, "the server does not answer: " + err.Error(), "start it with 'posthornd serve', or name another address with --addr"}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return &failure{exitServer, fmt.Sprintf("the server is not ready (HTTP %d)", answer.StatusCode), "its log says why"}
	}
	return nil
}
