package main

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/posthorn/posthorn/invite"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/admin"
	"github.com/posthorn/posthorn/server/cert"
	"github.com/posthorn/posthorn/server/store"
)

// openDesk answers the operator's commands on the socket in the data folder
// until the returned function is called.
func openDesk(srv *server.Server, kept store.Store, files *attachmentPlace, names *ktlog.Log, o serveOptions, l net.Listener, log *slog.Logger) (closeDesk func() error, err error) {
	desk, err := newDesk(srv, o, l, log)
	if err != nil {
		return nil, err
	}
	if err := removeCheckpoints(o.data); err != nil {
		return nil, err
	}
	desk.Handle("POST /backup", serveBackup(kept, files, o))
	m := &mover{srv: srv, kept: kept, files: files, data: o.data, log: log}
	desk.Handle("POST /migrate", m.answer)
	desk.Handle("GET /migrate", m.progress)
	desk.Handle("POST /log/policy", setPolicy(names))
	socket, err := admin.Listen(o.data)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- desk.Serve(ctx, socket) }()
	return func() error {
		cancel()
		return <-ended
	}, nil
}

// newDesk is the desk of this program. Invites name the server as it was told
// or, where that is one address, as it listens.
func newDesk(srv *server.Server, o serveOptions, l net.Listener, log *slog.Logger) (*admin.Desk, error) {
	about := admin.About{Version: thisVersion().Version, Store: func() string { return o.store.name(o.data) }, Address: o.address(l.Addr())}
	if o.tls.selfSigned {
		leaf, err := cert.SelfSignedLeaf(filepath.Join(o.data, tlsFolder))
		if err != nil {
			return nil, err
		}
		pin := invite.Fingerprint(sha256.Sum256(leaf))
		about.Pin = &pin
	}
	return admin.NewDesk(srv, about, log), nil
}

// address is by which people reach the server, or empty.
func (o *serveOptions) address(listening net.Addr) string {
	scheme := o.tls.scheme()
	switch {
	case o.tls.public != "" && o.proxied:
		return "https://" + o.tls.public // the proxy does TLS
	case o.tls.public != "":
		return scheme + "://" + o.tls.public
	case o.tls.acmeDomain != "":
		return scheme + "://" + o.tls.acmeDomain
	case o.proxied:
		return ""
	}
	if tcp, ok := listening.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return ""
	}
	return scheme + "://" + listening.String()
}
