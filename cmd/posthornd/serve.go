package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/server"
)

// defaultAddress is where server and clients meet on one machine.
const defaultAddress = "127.0.0.1:7480"

// serveOptions are the options of serve.
type serveOptions struct {
	data    string
	listen  string
	open    bool
	proxied bool
	level   slog.Level
	tls     tlsOptions
	store   storeOptions
	files   attachmentOptions
	nodes   nodeOptions
	log     logOptions
	limits  limitOptions
	metrics metricsOptions
}

// flags are the options that say what the server is.
func (o *serveOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.data, "data", "", "`folder` with everything the server keeps; made when it is not there")
	flags.StringVar(&o.listen, "listen", defaultAddress, "`host:port` to listen on; port 0 takes a free one")
	flags.BoolVar(&o.open, "open-registration", false, "let anybody who reaches the server make an account")
	flags.BoolVar(&o.proxied, "behind-proxy", false, "listen on any address, and count callers by X-Forwarded-For")
	flags.TextVar(&o.level, "log-level", slog.LevelInfo, "`level` of the log: debug, info, warn or error")
	flags.String(configFlag, "", "TOML `file` with options that neither the command line nor a variable sets")
}

// shared tells whether other processes may have the same store.
func (o *serveOptions) shared() bool { return o.store.where != embedded }

func newServe(a *app) *cobra.Command {
	o := serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server until it gets SIGTERM or Ctrl-C",
		Long: `Run the server. When it is ready it prints one line with its address on standard
output. On SIGTERM or Ctrl-C it ends within ten seconds: nothing that it has
accepted is lost, and clients connect again by themselves.

Without a certificate it listens on this machine only, unless --behind-proxy
says that a proxy with TLS is in front of it. The proxy must pass on the Host
header, append the caller to X-Forwarded-For, and not buffer responses. With a
certificate it speaks TLS 1.3 with a post-quantum key exchange, and nothing
else.

Every option can be set by a variable, such as POSTHORN_LISTEN, or by a key in
the file of --config, such as listen = "127.0.0.1:7480". The command line counts
before a variable, and a variable before the file.`,
		Example: "  posthornd serve --data /var/lib/posthorn --open-registration\n  posthornd serve --data data --listen 127.0.0.1:0",
		Args:    noArguments,
	}
	options := &groups{cmd: cmd}
	options.add("Server", o.flags)
	options.add("TLS", o.tls.flags)
	options.add("Storage", func(flags *pflag.FlagSet) {
		o.store.flags(flags)
		o.files.flags(flags)
	})
	options.add("Nodes", o.nodes.flags)
	options.add("Transparency", o.log.flags)
	options.add("Monitoring", o.metrics.flags)
	options.add("Limits", o.limits.flags)
	cmd.SetHelpFunc(options.help)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.data == "" {
			return usage(cmd, "serve needs a folder: --data DIR")
		}
		if err := o.tls.check(cmd, o.proxied); err != nil {
			return err
		}
		if err := o.limits.check(cmd); err != nil {
			return err
		}
		if err := o.nodes.check(cmd, o.shared()); err != nil {
			return err
		}
		return a.serve(cmd.Context(), o)
	}
	return cmd
}

// serve runs from the locked folder to the clean end.
func (a *app) serve(ctx context.Context, o serveOptions) (err error) {
	log := slog.New(slog.NewJSONHandler(a.stderr, &slog.HandlerOptions{Level: o.level}))
	unlock, err := claim(o.data)
	if err != nil {
		return err
	}
	defer closing(&err, unlock)
	watch, err := o.metrics.open()
	if err != nil {
		return err
	}
	defer closing(&err, watch.close)
	listener, err := server.Listen(o.listen, o.proxied || o.tls.on())
	if err != nil {
		return err
	}
	defer listener.Close() // again after Serve: harmless
	kept, err := o.store.open(ctx, o.data, log)
	if err != nil {
		return err
	}
	defer closing(&err, kept.Close)
	blobs, err := o.files.open(ctx, o.data)
	if err != nil {
		return err
	}
	defer closing(&err, blobs.Close)
	background, end := context.WithCancel(ctx)
	defer end()
	secure, certified, err := o.tls.config(background, o.data, listener, log)
	if err != nil {
		return err
	}
	options := server.Options{
		OpenRegistration: o.open, BehindProxy: o.proxied, TLS: secure, Ready: certified,
		Blobs: blobs, Limits: o.limits.Limits, Metrics: watch.counts, Log: log,
	}
	if err := o.nodes.place(&options, o.shared(), log); err != nil {
		return err
	}
	names, err := o.log.open(ctx, o.data, kept, o.shared(), watch.counts, log)
	if err != nil {
		return err
	}
	defer closing(&err, names.Close)
	options.Transparency, options.LogPublic = names, o.log.public
	srv := server.New(kept, options)
	watch.follow(srv, kept)
	if err := srv.Join(ctx); err != nil {
		return err
	}
	prepare(ctx, srv)
	closeDesk, err := openDesk(srv, kept, blobs, names, o, listener, log)
	if err != nil {
		return err
	}
	defer closing(&err, closeDesk)
	if _, err := fmt.Fprintf(a.stdout, "posthornd: ready on %s://%s\n", o.tls.scheme(), listener.Addr()); err != nil {
		return err
	}
	if err := notify("READY=1"); err != nil {
		return err
	}
	return srv.Serve(ctx, listener)
}

// closing closes something at the end of serve. A server that was told to stop
// before it was ready has stopped as it was told: that is no failure.
func closing(err *error, close func() error) {
	if errors.Is(*err, context.Canceled) {
		*err = nil
	}
	*err = errors.Join(*err, close())
}
