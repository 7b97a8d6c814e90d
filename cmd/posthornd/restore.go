package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/archive"
	"github.com/posthorn/posthorn/server/store/pebble"
)

func newRestore(a *app) *cobra.Command {
	data := ""
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a data folder from a backup",
		Long: `Make a data folder from a backup. The folder must not exist yet, or be empty; it
appears when every byte of the backup has been verified and is on disk.

A server that is started on it goes on from the moment of the backup. Devices
connect again by themselves. What they had fetched since comes a second time and
they drop it; what was accepted since, accounts and invites included, is lost
unless its sender still has it. Never let the old folder and the restored one
serve at the same time.`,
		Example: "  posthornd restore /backups/monday.posthorn --data /var/lib/posthorn",
		Args:    oneArgument("one FILE"),
	}
	cmd.Flags().StringVar(&data, "data", "", "`folder` to make")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if data == "" {
			return needsFolder(cmd)
		}
		if err := restore(cmd.Context(), args[0], data); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.stdout, data)
		return err
	}
	return cmd
}

// restore unpacks beside the folder, and gives the result its name at the end.
func restore(ctx context.Context, file, data string) error {
	data, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	if err := vacant(data); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return &failure{exitUser, "the backup cannot be read, nothing was restored: " + err.Error(), "check its name and owner"}
	}
	defer f.Close()
	parent := filepath.Dir(data)
	if err := makePrivate(parent); err != nil {
		return err
	}
	beside, err := os.MkdirTemp(parent, "."+filepath.Base(data)+".restoring-") // mode 0700
	if err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	defer os.RemoveAll(beside) //nolint:errcheck // it has its name by then, or is of no use
	if err := archive.Unpack(f, beside, storeFolder, blobsFolder, tlsFolder, acmeFolder, logKeysFolder); err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	if ctx.Err() != nil {
		return interrupted()
	}
	if err := markRestored(ctx, filepath.Join(beside, storeFolder)); err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	if err := os.Remove(data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	if err := os.Rename(beside, data); err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	return archive.SyncFolder(parent)
}

// vacant wants a folder that does not exist, or that is empty.
func vacant(data string) error {
	there, err := os.ReadDir(data)
	if err == nil && len(there) > 0 {
		return &failure{exitUser, "the folder is not empty, nothing was restored", "name a folder that does not exist with --data"}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &failure{exitUser, "the folder cannot be used, nothing was restored: " + err.Error(), "name a folder that does not exist with --data"}
	}
	return nil
}

// markRestored tells the store that it has gone back in time.
func markRestored(ctx context.Context, at string) (err error) {
	if _, err := os.Stat(at); err != nil {
		return fmt.Errorf("%w: there is no store in it", archive.ErrArchive)
	}
	s, err := pebble.Open(at, pebble.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return server.MarkRestored(ctx, s, clock.Now())
}
