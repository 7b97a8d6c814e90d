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
	"github.com/posthorn/posthorn/server/store/pebble"
)

func newCheck(a *app) *cobra.Command {
	data, asJSON := "", false
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Verify every record of a stopped server",
		Long: `Read everything that a stopped server has stored, and change nothing. The check
compares checksums, counts every mailbox, and verifies the rosters in the
directory. The exit code is 0 when all is as it was written, and 1 when
something is not; then it names mailboxes and numbers, and nothing of anybody.`,
		Example: "  posthornd check --data /var/lib/posthorn\n  posthornd check --data data --json",
		Args:    noArguments,
	}
	cmd.Flags().StringVar(&data, "data", "", "`folder` with everything the server keeps")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
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
	pebble.Report
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
	if errors.Is(ended, fs.ErrNotExist) || errors.Is(ended, context.Canceled) {
		return ended
	}
	if err := a.printCheck(report, ended, asJSON); err != nil {
		return err
	}
	if ended == nil && report.Damaged > 0 {
		return &failure{exitUser, fmt.Sprintf("%d records are damaged; nothing was changed", report.Damaged), "keep a copy of the folder, then restore a backup"}
	}
	return ended
}

func (a *app) printCheck(r pebble.Report, ended error, asJSON bool) error {
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
