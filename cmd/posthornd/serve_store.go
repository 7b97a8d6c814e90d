package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/relocate"
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

// name is what the store that is in use is called in the status.
func (o *storeOptions) name(data string) string {
	if mark, err := movedFrom(data); o.where == embedded && mark == nil && err == nil {
		return embedded
	}
	return "postgres"
}

// open opens the store of a claimed data folder.
func (o *storeOptions) open(ctx context.Context, data string, log *slog.Logger) (store.Store, error) {
	mark, err := movedFrom(data)
	if err != nil {
		return nil, err
	}
	if o.where == embedded {
		return openEmbedded(data, mark, log)
	}
	if !isDatabase(o.where) {
		return nil, errStoreName
	}
	options := o.database(data, log)
	if mark == nil {
		err = leftBehind(data)
	} else {
		options.Move = mark.ID
	}
	if err != nil {
		return nil, err
	}
	return postgres.Open(ctx, o.where, options)
}

// isDatabase tells whether --store names a database.
func isDatabase(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}

var errStoreName = &failure{exitUsage, "--store is neither pebble nor a URL that begins with postgres://", "write it as postgres://USER@HOST/DATABASE"}

// database are the options for a database that is used with a data folder.
func (o *storeOptions) database(data string, log *slog.Logger) postgres.Options {
	return postgres.Options{
		SeenFile: filepath.Join(data, seenFile), Epoch: o.epoch, Accept: o.accept, Program: "posthornd " + thisVersion().Version, Log: log,
	}
}

// openEmbedded opens the store in the data folder, unless it was moved away. It
// can be moved while the server runs.
func openEmbedded(data string, mark *moved, log *slog.Logger) (store.Store, error) {
	if mark != nil {
		return nil, &failure{
			exitUser, "this server was moved into a database on " + mark.At.Format(time.DateOnly) + ", and --store does not name it; nothing was started",
			"start it with --store and that database, best in the variable POSTHORN_STORE",
		}
	}
	if err := leftElsewhere(data); err != nil {
		return nil, err
	}
	kept, err := pebble.Open(filepath.Join(data, storeFolder), pebble.Options{Log: log})
	if err != nil {
		return nil, err
	}
	return relocate.New(kept), nil
}

// leftBehind refuses to serve from a database while the data folder holds an
// embedded store: its mailboxes and accounts would seem to be gone.
func leftBehind(data string) error {
	there, err := holdsStore(data)
	if err != nil || !there {
		return err
	}
	return &failure{
		exitUser, "the data folder holds an embedded store, and --store names a database; nothing was started",
		"start it without --store and move it with 'posthornd migrate'; or, if what it holds is not needed any more, move the folder " + storeFolder + " in it away",
	}
}

// leftElsewhere refuses to begin an empty embedded store in a folder that was
// served from a database. A move that failed leaves traces of the database too,
// but then the folder holds the store that was to be moved.
func leftElsewhere(data string) error {
	_, err := os.Stat(filepath.Join(data, seenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the data folder cannot be read: %w", err)
	}
	there, err := holdsStore(data)
	if err != nil || there {
		return err
	}
	return &failure{
		exitUser, "this server keeps its data in a database, and --store does not name it; nothing was started, and no empty store was made",
		"start it with --store and that database, best in the variable POSTHORN_STORE; or, if it is to begin anew without the database, move the file " + seenFile + " in the data folder away",
	}
}

// holdsStore tells whether there is an embedded store in a claimed data folder.
func holdsStore(data string) (bool, error) {
	files, err := os.ReadDir(filepath.Join(data, storeFolder))
	if err != nil {
		return false, fmt.Errorf("the data folder cannot be read: %w", err)
	}
	return len(files) > 0, nil
}
