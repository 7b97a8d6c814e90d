package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
	"github.com/posthorn/posthorn/server/store/postgres"
)

func newCheck(a *app) *cobra.Command {
	data, asJSON, where := "", false, storeOptions{}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Verify every record that a server has stored",
		Long: `Read everything that a server has stored, and change nothing. The check
compares checksums, counts every mailbox, and verifies the rosters in the
directory. A server with an embedded store must be stopped; one that keeps its
data in a database (--store) may run, and --data may be left out. The exit code is 0 when all is as it was written, and 1 when
something is not; then it names mailboxes and numbers, and nothing of anybody.`,
		Example: "  posthornd check --data /var/lib/posthorn\n  posthornd check --data data --json\n  POSTHORN_STORE=postgres://posthorn@db.example.org/posthorn posthornd check",
		Args:    noArguments,
	}
	cmd.Flags().StringVar(&data, "data", "", "`folder` with everything the server keeps")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	where.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if where.where != embedded {
			return a.checkDatabase(cmd.Context(), where, data, asJSON)
		}
		if data == "" {
			return usage(cmd, "check needs a folder: --data DIR")
		}
		return a.check(cmd.Context(), data, asJSON)
	}
	return cmd
}

// checked is what check prints with --json.
type checked struct {
	Schema string `json:"schema"`
	store.Report
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"` // what ended the check early
}

func (a *app) check(ctx context.Context, data string, asJSON bool) (err error) {
	unlock, err := claimExisting(data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	report, ended := pebble.Check(ctx, filepath.Join(data, storeFolder), pebble.Options{}, server.CheckRecord)
	return a.concludeCheck(report, ended, asJSON)
}

// checkDatabase checks a store in a database. The data folder, if there is one,
// says which database it must be.
func (a *app) checkDatabase(ctx context.Context, where storeOptions, data string, asJSON bool) error {
	if !isDatabase(where.where) {
		return errStoreName
	}
	options := where.database(data, nil)
	if data == "" {
		options.SeenFile = ""
	}
	report, ended := postgres.Check(ctx, where.where, options, server.CheckRecord)
	if errors.Is(ended, fs.ErrNotExist) {
		return &failure{exitUser, "no server has stored anything in this database", "name the database that 'posthornd serve' was started with"}
	}
	return a.concludeCheck(report, ended, asJSON)
}

// concludeCheck prints a report and says what it means.
func (a *app) concludeCheck(report store.Report, ended error, asJSON bool) error {
	if errors.Is(ended, fs.ErrNotExist) || errors.Is(ended, context.Canceled) {
		return ended
	}
	if err := a.printCheck(report, ended, asJSON); err != nil {
		return err
	}
	if ended == nil && report.Damaged > 0 {
		return &failure{exitUser, fmt.Sprintf("%d records are damaged; nothing was changed", report.Damaged), "keep a copy of the folder or database, then restore a backup"}
	}
	return ended
}

func (a *app) printCheck(r store.Report, ended error, asJSON bool) error {
	if asJSON {
		c := checked{Schema: "posthornd.check/1", Report: r, OK: ended == nil && r.Damaged == 0}
		if ended != nil {
			c.Error = ended.Error()
		}
		return json.NewEncoder(a.stdout).Encode(c)
	}
	for _, problem := range r.Problems {
		fmt.Fprintln(a.stdout, problem)
	}
	_, err := fmt.Fprintf(a.stdout, "%d mailboxes with %d envelopes, %d dropped ones, %d directory values, %d values in pools: %d damaged\n",
		r.Mailboxes, r.Envelopes, r.Dropped, r.Values, r.Pooled, r.Damaged)
	return err
}
