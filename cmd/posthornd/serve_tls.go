package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/server/cert"
	"github.com/posthorn/posthorn/server/cert/authority"
)

// Folders for certificates, in the data folder.
const (
	tlsFolder  = "tls"
	acmeFolder = "acme"
)

// tlsOptions say where the certificate comes from: nowhere, or one of three.
type tlsOptions struct {
	certFile, keyFile string
	selfSigned        bool
	public            string // what clients dial, when it is not the listen address
	acmeDomain        string
	acmeEmail         string
	acmeDirectory     string
	acmeRoots         string
}

func (o *tlsOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.certFile, "tls-cert", "", "PEM `file` with the certificate chain; read again when it changes")
	flags.StringVar(&o.keyFile, "tls-key", "", "PEM `file` with the key of --tls-cert")
	flags.BoolVar(&o.selfSigned, "tls-self-signed", false, "make a certificate once, in the data folder; invites carry its hash")
	flags.StringVar(&o.public, "public-address", "", "`host[:port]` that clients dial, for a self-signed certificate and for invites")
	flags.StringVar(&o.acmeDomain, "acme-domain", "", "get a certificate for this `name` from an authority, which must reach the server as its port 443")
	flags.StringVar(&o.acmeEmail, "acme-email", "", "`address` that the authority may write to")
	flags.StringVar(&o.acmeDirectory, "acme-ca", "", "ACME `address` of the authority (default Let's Encrypt)")
	flags.StringVar(&o.acmeRoots, "acme-ca-roots", "", "PEM `file` with the roots of a private authority's own certificate (default those of the system)")
}

// on reports whether the server does TLS itself.
func (o *tlsOptions) on() bool { return o.certFile != "" || o.selfSigned || o.acmeDomain != "" }

// scheme is how an address of the server begins.
func (o *tlsOptions) scheme() string {
	if o.on() {
		return "https"
	}
	return "http"
}

// check refuses options that contradict each other.
func (o *tlsOptions) check(cmd *cobra.Command, proxied bool) error {
	ways := 0
	for _, way := range []bool{o.certFile != "" || o.keyFile != "", o.selfSigned, o.acmeDomain != ""} {
		if way {
			ways++
		}
	}
	switch {
	case ways > 1:
		return usage(cmd, "one certificate is enough: --tls-cert with --tls-key, --tls-self-signed or --acme-domain")
	case (o.certFile == "") != (o.keyFile == ""):
		return usage(cmd, "--tls-cert and --tls-key belong together")
	case ways > 0 && proxied:
		return usage(cmd, "a server behind a proxy leaves TLS to it: --behind-proxy goes with no --tls or --acme option")
	case o.acmeDomain == "" && (o.acmeEmail != "" || o.acmeDirectory != "" || o.acmeRoots != ""):
		return usage(cmd, "--acme-email, --acme-ca and --acme-ca-roots need --acme-domain")
	}
	return nil
}

// config prepares TLS for a listener; nil means plain HTTP. ready is nil once a
// certificate can be shown.
func (o *tlsOptions) config(ctx context.Context, data string, l net.Listener, log *slog.Logger) (c *tls.Config, ready func() error, err error) {
	ready = func() error { return nil }
	switch {
	case o.certFile != "":
		files, err := cert.Watch(ctx, o.certFile, o.keyFile, log)
		if err != nil {
			return nil, nil, err
		}
		return cert.Config(files.Get), ready, nil
	case o.selfSigned:
		get, err := cert.SelfSigned(filepath.Join(data, tlsFolder), o.hosts(l.Addr()), clock.Now())
		if err != nil {
			return nil, nil, err
		}
		return cert.Config(get), ready, nil
	case o.acmeDomain != "":
		return o.managed(ctx, data, l, log)
	}
	return nil, ready, nil
}

// managed asks an authority for a certificate.
func (o *tlsOptions) managed(ctx context.Context, data string, l net.Listener, log *slog.Logger) (*tls.Config, func() error, error) {
	a := authority.Options{
		Domain: o.acmeDomain, Email: o.acmeEmail, Directory: o.acmeDirectory,
		Folder: filepath.Join(data, acmeFolder), Address: l.Addr(), Log: log,
	}
	if o.acmeRoots != "" {
		roots, err := pool(o.acmeRoots)
		if err != nil {
			return nil, nil, err
		}
		a.Roots = roots
	}
	m, err := authority.Manage(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	return cert.WithChallenges(cert.Config(m.Get)), m.Ready, nil
}

// hosts are what a self-signed certificate names: what clients dial, and the
// machine itself.
func (o *tlsOptions) hosts(listening net.Addr) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	add := func(address string) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsLoopback() && !ip.IsUnspecified()) && host != "localhost" {
			hosts = append(hosts, host)
		}
	}
	add(listening.String())
	add(o.public)
	return hosts
}

// pool reads certificates to trust.
func pool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the certificates cannot be read: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, &failure{exitUser, file + " holds no certificate", "name a PEM file with at least one"}
	}
	return roots, nil
}
