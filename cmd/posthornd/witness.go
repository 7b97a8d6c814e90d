package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/kt/witness"
	"github.com/posthorn/posthorn/server"
)

// defaultWitnessAddress is where a witness listens on its own machine.
const defaultWitnessAddress = "127.0.0.1:7481"

func newWitness(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "witness",
		Short: "Watch transparency logs of other servers",
		Long: `A witness signs a checkpoint of a log only if it continues the one that it signed
last. A server whose clients ask for its signature cannot show two histories
without it.`,
		Example: "  posthornd witness serve --state /var/lib/witness/state.json --log KEY --log KEY",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newWitnessServe(a))
	return cmd
}

// witnessOptions are the options of witness serve.
type witnessOptions struct {
	listen   string
	anywhere bool
	state    string
	name     string
	logs     []string
}

func newWitnessServe(a *app) *cobra.Command {
	o := witnessOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Cosign what continues, until SIGTERM or Ctrl-C",
		Long: `Run a witness that speaks C2SP tlog-witness. It prints its two verifier keys,
Ed25519 and ML-DSA-44, for the policies of logs, and then one line with its
address. A policy that wants both signatures names the witness twice, with the
same address and another path after it.

Its file of state has the keys and what was signed last. It is written before
each signature. Never start a witness on a copy of it: it would sign again what
it has forgotten.`,
		Example: "  posthornd witness serve --state state.json --log \"$(posthornd log checkpoint --data DIR --json | jq -r '.root_log_keys[0]')\"",
		Args:    noArguments,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", defaultWitnessAddress, "`host:port` to listen on; port 0 takes a free one; plain HTTP")
	flags.BoolVar(&o.anywhere, "listen-anywhere", false, "let --listen be an address that other machines can reach; nothing that is said there is secret")
	flags.StringVar(&o.state, "state", "", "`file` with keys and what was signed last; made when it is not there")
	flags.StringVar(&o.name, "name", "", "`name` of a new witness, such as a host name with a path (default a random one)")
	flags.StringArrayVar(&o.logs, "log", nil, "verifier `key` of a log to watch; again for its other key and for other logs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.state == "" || len(o.logs) == 0 {
			return usage(cmd, "a witness needs its file, --state FILE, and the key of at least one log, --log KEY")
		}
		return a.witness(cmd.Context(), o)
	}
	return cmd
}

// witness runs from the locked file to the clean end.
func (a *app) witness(ctx context.Context, o witnessOptions) (err error) {
	if err := makePrivate(filepath.Dir(o.state)); err != nil {
		return err
	}
	release, err := witness.Lock(o.state)
	if err != nil {
		return err
	}
	defer closing(&err, release)
	w, err := witness.Open(o.state, o.name, o.logs)
	if err != nil {
		return err
	}
	l, err := server.Listen(o.listen, o.anywhere)
	if err != nil {
		return err
	}
	for _, key := range w.Keys() {
		if _, err := fmt.Fprintf(a.stdout, "posthornd: witness key %s\n", key); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	if _, err := fmt.Fprintf(a.stdout, "posthornd: witness ready on http://%s\n", l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	srv := &http.Server{
		Handler: w, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if srv.Shutdown(bounded) == nil {
		return nil
	}
	return srv.Close() // whoever is cut off asks again
}
