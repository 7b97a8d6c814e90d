package main

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/metrics"
	"github.com/posthorn/posthorn/server/store"
)

// metricsOptions say where an operator's tools may look.
type metricsOptions struct {
	address  string
	anywhere bool
}

func (o *metricsOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.address, "metrics", "", "`host:port` of a second listener with /metrics, /healthz and /readyz; plain HTTP")
	flags.BoolVar(&o.anywhere, "metrics-anywhere", false, "let --metrics be an address that other machines can reach")
}

// watch is the second listener: what the server counts, and whether it is
// ready. It answers before the store is open and until the process ends.
type watch struct {
	counts  *metrics.Metrics
	http    *http.Server
	ready   atomic.Pointer[func() error]
	healthy atomic.Pointer[func() error]
	closed  chan struct{}
}

// errStarting is why a server is not ready at first.
var errStarting = errors.New("the server is starting")

// open starts the second listener, if there is to be one.
func (o *metricsOptions) open() (*watch, error) {
	w := &watch{counts: metrics.New(), closed: make(chan struct{})}
	starting, fine := func() error { return errStarting }, func() error { return nil }
	w.ready.Store(&starting)
	w.healthy.Store(&fine)
	if o.address == "" {
		close(w.closed)
		return w, nil
	}
	l, err := server.Listen(o.address, o.anywhere)
	if errors.Is(err, server.ErrAddress) {
		return nil, &failure{exitUser, "--metrics: " + err.Error(), "use an address of this machine, or say --metrics-anywhere if only your tools can reach the other"}
	}
	if err != nil {
		return nil, err
	}
	w.http = &http.Server{
		Handler: w.handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() {
		defer close(w.closed)
		_ = w.http.Serve(l)
	}()
	return w, nil
}

func (w *watch) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", w.counts.Handler())
	mux.Handle("GET /healthz", probe(&w.healthy))
	mux.Handle("GET /readyz", probe(&w.ready))
	return mux
}

// probe answers 200 or 503, and not why: the cause may name files.
func probe(ask *atomic.Pointer[func() error]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := (*ask.Load())(); err != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
}

// follow lets the server answer for itself from now on.
func (w *watch) follow(srv *server.Server, kept store.Store) {
	w.counts.Watch(kept)
	ready, healthy := srv.Ready, srv.Healthy
	w.ready.Store(&ready)
	w.healthy.Store(&healthy)
}

// close ends the second listener.
func (w *watch) close() error {
	var err error
	if w.http != nil {
		err = w.http.Close()
	}
	<-w.closed
	return err
}
