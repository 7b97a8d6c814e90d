package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/internal/clock"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/metrics"
	"github.com/posthorn/posthorn/server/store"
)

const (
	// logFolder has the tiles of the transparency log, which follow from the store.
	logFolder = "kt"
	// logKeysFolder has what the log is signed with, and nothing else.
	logKeysFolder = "kt-keys"
)

// logOptions are about the transparency log.
type logOptions struct {
	witnesses string
	interval  time.Duration
	public    bool
}

func (o *logOptions) flags(flags *pflag.FlagSet) {
	o.interval = ktlog.DefaultInterval
	flags.StringVar(&o.witnesses, "log-witnesses", "", "`file` with a tlog-policy: the witnesses that must sign before anything new is served; a log that begins now has clients ask for them, a later one with 'posthornd log policy set'")
	flags.Var(span{&o.interval, 10 * time.Millisecond, time.Hour}, "log-interval", "the shortest time between two entries of the transparency log")
	flags.BoolVar(&o.public, "log-public", false, "give the log of updates to everybody, not to accounts alone; it shows when hidden names change")
}

// open opens the log of a server, or begins it.
func (o *logOptions) open(ctx context.Context, data string, kept store.Store, shared bool, counts *metrics.Metrics, log *slog.Logger) (*ktlog.Log, error) {
	var policy []byte
	if o.witnesses != "" {
		var err error
		if policy, err = os.ReadFile(o.witnesses); err != nil {
			return nil, &failure{exitUser, "the policy of --log-witnesses cannot be read: " + err.Error(), "name a file that posthornd may read"}
		}
	}
	l, err := ktlog.Open(ctx, ktlog.Options{
		Folder: filepath.Join(data, logFolder), KeysFolder: filepath.Join(data, logKeysFolder), Records: kept, Shared: shared,
		Witnesses: policy, Interval: o.interval, Heartbeat: clock.Nap(ktlog.Heartbeat), Now: clock.Now, Logger: log, Failed: counts.WitnessFailed,
	})
	if err != nil {
		return nil, err
	}
	counts.WatchLog(l.Age)
	return l, nil
}

// patience is how long a start waits for the transparency log, so that a small
// server is ready when it says so. A large one serves mailboxes meanwhile.
const patience = 3 * time.Second

func prepare(ctx context.Context, srv *server.Server) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	srv.Prepare(bounded)
}
