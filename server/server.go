package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"golang.org/x/time/rate"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/bus"
	"github.com/posthorn/posthorn/server/cert"
	"github.com/posthorn/posthorn/server/metrics"
	"github.com/posthorn/posthorn/server/store"
)

// Options are what an operator chooses.
type Options struct {
	// OpenRegistration lets anybody who reaches the server make an account.
	OpenRegistration bool
	// BehindProxy takes the caller's address from X-Forwarded-For.
	BehindProxy bool
	// TLS is what connections must look like, as package cert makes it. Nil
	// means plain HTTP.
	TLS *tls.Config
	// Blobs keeps attachments; the caller closes it after Serve. Nil: this
	// server takes none.
	Blobs blob.Store
	// Node is the name of this node among several over one store; see
	// CheckNodeName. "" means that no other process has the store.
	Node string
	// Bus tells nodes of each other's work. Nil: they find it in the store. The
	// server closes it.
	Bus bus.Bus
	// Ready is asked whether something else is still missing; nil asks nobody.
	Ready func() error
	// Transparency is the log of all names; the caller closes it after Serve. Nil:
	// look-ups are answered without proofs, which clients refuse.
	Transparency *ktlog.Log
	// LogPublic gives the log of updates to everybody, not to accounts alone.
	LogPublic bool
	// Metrics counts what happens; nil counts for nobody.
	Metrics *metrics.Metrics
	// Limits bound everything; zero fields mean the default.
	Limits Limits
	// Log gets what the server does, without names, addresses, sizes or
	// contents. Nil discards it.
	Log *slog.Logger
}

// Server serves one store. Make it with New, run it with Serve.
type Server struct {
	store    store.Store
	options  Options
	log      *slog.Logger
	access   *access
	calendar *calendar
	auth     *authService
	files    *attachmentService
	cluster  *cluster
	http     *http.Server

	stopping chan struct{} // closed when delivery streams must end
}

const (
	// stopTime is how long calls in progress get when the server stops.
	stopTime = 8 * time.Second
	// sweepEvery is how often expired envelopes are looked for, sweepBudget how
	// much one round of that may do, and sweepPause lets others in between.
	sweepEvery  = time.Hour
	sweepBudget = 2000
	sweepPause  = 100 * time.Millisecond
)

// New puts a server over a store, which the caller closes after Serve.
func New(s store.Store, options Options) *Server {
	options.Limits = options.Limits.resolve()
	logger := options.Log
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if options.Metrics == nil {
		options.Metrics = metrics.New()
	}
	srv := &Server{store: s, options: options, log: logger, stopping: make(chan struct{})}
	srv.calendar = newCalendar(s, options.Limits.Retention, logger)
	dir := newDirectory(s)
	dir.fetches = newFetches(options.Limits.PairBundles)
	dir.log = options.Transparency
	srv.auth = newAuthService(dir)
	srv.auth.expel = srv.expel
	srv.files = &attachmentService{directory: dir, blobs: options.Blobs, bytes: newLimiter(options.Limits.AttachmentBytes), limits: options.Limits}
	srv.access = newAccess(srv.auth.tokens, options, logger)
	srv.cluster = newCluster(s, newHub(), srv.auth.challenges.keys, options, logger)
	if !srv.cluster.alone {
		options.Metrics.WatchNodes(srv.cluster.report)
	}
	srv.http = srv.httpServer(srv.rpc(dir))
	return srv
}

// rpc registers the services behind the access checks.
func (srv *Server) rpc(dir *directory) http.Handler {
	rpc := connect.NewServer(srv.access.intercept)
	posthornv1connect.RegisterAuthServiceHandler(rpc, srv.auth)
	posthornv1connect.RegisterDirectoryServiceHandler(rpc, &directoryService{
		directory: dir, auth: srv.auth, open: srv.options.OpenRegistration, mailbox: srv.options.Limits.Mailbox, expel: srv.expel,
	})
	posthornv1connect.RegisterMailboxServiceHandler(rpc, &mailboxService{
		directory: dir, store: srv.store, hub: srv.cluster.hub, senders: newHub(), access: srv.access, cluster: srv.cluster, numbers: &numbering{store: srv.store}, repairs: rate.NewLimiter(repairsPerSecond, repairsPerSecond/10),
		bytes: newLimiter(srv.options.Limits.Bytes), limits: srv.options.Limits, stopping: srv.stopping, ledger: newLedger(), metrics: srv.options.Metrics, calendar: srv.calendar,
	})
	posthornv1connect.RegisterAttachmentServiceHandler(rpc, srv.files)
	posthornv1connect.RegisterPairingServiceHandler(rpc, &pairingService{store: srv.store})
	posthornv1connect.RegisterTransparencyServiceHandler(rpc, &transparencyService{dir})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", srv.healthz)
	mux.HandleFunc("GET /readyz", srv.readyz)
	srv.logFiles(mux)
	connecthttp.Mount(mux, rpc, connecthttp.WithReadMaxBytes(api.MaxRequest), connecthttp.WithCompressors())
	return srv.access.wrap(mux)
}

func (srv *Server) httpServer(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(srv.options.TLS == nil)
	out := &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: srv.options.Limits.HeaderTime,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    api.MaxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: srv.options.Limits.Streams, SendPingTimeout: time.Minute, PingTimeout: 20 * time.Second},
		// The standard library's own messages name addresses.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	if srv.options.TLS != nil {
		out.TLSConfig = srv.options.TLS.Clone()
		cert.Hangup(out, srv.refused)
	}
	return out
}

// bound lets no more connections in than the limits say.
func (srv *Server) bound(l net.Listener) net.Listener {
	each := srv.options.Limits.ConnectionsPerAddress
	if srv.options.BehindProxy {
		each = srv.options.Limits.Connections
	}
	t := newTurnstile(l, srv.options.Limits.Connections, each, srv.refused)
	t.moved = srv.options.Metrics.Connection
	return t
}

// refused counts a connection that was refused before it could call.
func (srv *Server) refused(why *reject.Error) {
	srv.options.Metrics.Refused(why.Check)
	srv.log.Debug("refused", "check", why.Check)
}

// accept serves connections until the HTTP server is shut down.
func (srv *Server) accept(l net.Listener) error {
	if srv.http.TLSConfig != nil {
		return srv.http.ServeTLS(l, "", "")
	}
	return srv.http.Serve(l)
}

// Handler is the server as an HTTP handler, for tests and for embedding.
func (srv *Server) Handler() http.Handler { return srv.http.Handler }

// Join takes this node's place among those over the store, which may take
// some seconds when the node did not stop cleanly before. Serve does not begin
// without: call it first. ErrNode: the name is not to be had.
func (srv *Server) Join(ctx context.Context) error { return srv.cluster.join(ctx) }

// Others counts the other servers over the same store that live, as far as this
// one has seen them.
func (srv *Server) Others() int {
	if srv.cluster.alone {
		return 0
	}
	return srv.cluster.members.living()
}

// Serve answers on the listener until ctx ends, then stops within ten seconds:
// streams are told, calls in progress finish. It closes the listener. A node
// must have joined before, and ends with ErrNode when its name is taken over.
func (srv *Server) Serve(ctx context.Context, l net.Listener) error {
	background, end := context.WithCancel(ctx)
	if _, err := srv.calendar.turn(ctx); err != nil {
		srv.log.Error("the record of the clock was not written; nothing expires until it is", "error", err)
	}
	var upkeep sync.WaitGroup
	ousted := make(chan error, 1)
	upkeep.Go(func() { srv.sweep(background) })
	upkeep.Go(func() { srv.keepLog(background) })
	upkeep.Go(func() { srv.access.live.watch(background, srv.store) })
	upkeep.Go(func() {
		if err := srv.cluster.run(background); err != nil {
			ousted <- err
		}
	})
	failed := make(chan error, 1)
	go func() { failed <- srv.accept(srv.bound(l)) }()
	srv.log.Info("serving")
	var err error
	select {
	case err = <-failed:
	case err = <-ousted:
		err = errors.Join(err, srv.stop())
		<-failed
	case <-ctx.Done():
		err = srv.stop()
		<-failed
	}
	end()
	upkeep.Wait()
	srv.cluster.leave()
	srv.closeCalendar()
	srv.log.Info("stopped")
	return err
}

// closeCalendar notes until when the server was there. If it fails, the time
// off looks longer than it was, and mail waits longer.
func (srv *Server) closeCalendar() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = srv.calendar.turn(ctx)
}

func (srv *Server) stop() error {
	close(srv.stopping)
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	err := srv.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		srv.log.Warn("calls still in progress were cut off")
		return srv.http.Close()
	}
	return err
}

// sweep removes what nobody fetched within the retention time.
func (srv *Server) sweep(ctx context.Context) {
	for pause := sweepPause; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(clock.Nap(pause)):
		}
		done, err := srv.sweepSome(ctx, pause == sweepEvery)
		if err != nil && ctx.Err() == nil {
			srv.log.Error("sweep failed", "error", err)
		}
		pause = sweepPause
		if done || err != nil {
			pause = sweepEvery
		}
	}
}

// sweepSome sweeps a part of the mailboxes, and after the last of them the
// files. What counts as old is the calendar's to say.
func (srv *Server) sweepSome(ctx context.Context, first bool) (done bool, err error) {
	grace := srv.calendar.grace()
	if first || !srv.calendar.begun() {
		if grace, err = srv.calendar.turn(ctx); err != nil {
			return false, err
		}
	}
	now := clock.Now().Add(-grace)
	expired, done, err := srv.store.Sweep(ctx, now.Add(-srv.options.Limits.Retention), sweepBudget)
	srv.options.Metrics.Expired(expired)
	if done || err != nil {
		srv.sweepFiles(ctx, now)
	}
	return done, err
}

// sweepFiles removes expired attachments.
func (srv *Server) sweepFiles(ctx context.Context, now time.Time) {
	if err := srv.files.sweep(ctx, now); err != nil && ctx.Err() == nil {
		srv.log.Error("sweep of attachments failed", "error", err)
	}
}
