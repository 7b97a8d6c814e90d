package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
	"github.com/posthorn/posthorn/server/store/postgres"
)

// embedded is the value of --store for the store in the data folder.
const embedded = "pebble"

// seenFile says which database this folder was used with.
const seenFile = "database.json"

// storeOptions say where mailboxes and directory are kept.
type storeOptions struct {
	where  string // embedded, or a URL that may hold a password: never shown
	epoch  uint64
	accept bool
}

func (o *storeOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.where, "store", embedded, "`where` mailboxes and directory are kept: pebble, in the data folder, or postgres://USER@HOST/DATABASE, which several servers can share; POSTHORN_STORE keeps a password out of the list of processes")
	flags.Uint64Var(&o.epoch, "store-epoch", 0, "refuse a database whose `epoch` is lower; for databases other than PostgreSQL, where the operator raises it at a failover")
	flags.BoolVar(&o.accept, "store-accept", false, "take a database that is another one than before, or an older state of it, after a restore or an upgrade of the database")
}

// name is what the store is called in the status.
func (o *storeOptions) name() string {
	if o.where == embedded {
		return embedded
	}
	return "postgres"
}

// open opens the store of a claimed data folder.
func (o *storeOptions) open(ctx context.Context, data string, log *slog.Logger) (store.Store, error) {
	if o.where == embedded {
		return pebble.Open(filepath.Join(data, storeFolder), pebble.Options{Log: log})
	}
	if !strings.HasPrefix(o.where, "postgres://") && !strings.HasPrefix(o.where, "postgresql://") {
		return nil, &failure{exitUsage, "--store is neither pebble nor a URL that begins with postgres://", "write it as postgres://USER@HOST/DATABASE"}
	}
	if err := leftBehind(data); err != nil {
		return nil, err
	}
	return postgres.Open(ctx, o.where, postgres.Options{
		SeenFile: filepath.Join(data, seenFile), Epoch: o.epoch, Accept: o.accept, Program: "posthornd " + thisVersion().Version, Log: log,
	})
}

// leftBehind refuses to serve from a database while the data folder holds an
// embedded store: its mailboxes and accounts would seem to be gone.
func leftBehind(data string) error {
	files, err := os.ReadDir(filepath.Join(data, storeFolder))
	if err != nil {
		return fmt.Errorf("the data folder cannot be read: %w", err)
	}
	if len(files) == 0 {
		return nil
	}
	return &failure{
		exitUser, "the data folder holds an embedded store, and --store names a database; nothing was started",
		"move the folder " + storeFolder + " in it away if what it holds is not needed any more",
	}
}
