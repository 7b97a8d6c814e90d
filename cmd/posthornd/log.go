package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	ktlog "github.com/posthorn/posthorn/kt/log"
)

func newLog(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Look at the transparency log",
		Long: `Look at the log in which everybody's device lists stand, so that a server cannot
show one list to one person and another to the next.`,
		Example: "  posthornd log checkpoint --data /var/lib/posthorn\n  posthornd log verify --data /var/lib/posthorn",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLogCheckpoint(a), newLogVerify(a), newLogKeys(a), newLogPolicy(a))
	return cmd
}

// logCommand is a command over the log in a data folder.
func logCommand(use, short, long string, run func(ctx context.Context, folder string, asJSON bool) error) *cobra.Command {
	return asking(&cobra.Command{
		Use: use, Short: short, Long: long, Args: noArguments,
		Example: "  posthornd log " + use + " --data /var/lib/posthorn\n  posthornd log " + use + " --data data --json",
	}, func(ctx context.Context, q question, _ []string) error {
		return run(ctx, filepath.Join(q.data, logFolder), q.asJSON)
	})
}

func newLogCheckpoint(a *app) *cobra.Command {
	return logCommand("checkpoint", "Print the newest published checkpoint",
		`Print the newest checkpoint of the log of roots, a signed note, after a check of
its signatures and of the policy. A server may run on the folder.`, a.logCheckpoint)
}

// printedCheckpoint is what log checkpoint prints with --json.
type printedCheckpoint struct {
	Schema    string    `json:"schema"`
	Origin    string    `json:"origin"`
	Size      uint64    `json:"size"`
	Root      string    `json:"root"` // hex
	Witnesses []string  `json:"witnesses"`
	SignedAt  string    `json:"signed_at"`
	Note      string    `json:"note"`
	Policy    string    `json:"policy"`          // that it meets
	Updates   [2]string `json:"update_log_keys"` // Ed25519 and ML-DSA-44
	Roots     [2]string `json:"root_log_keys"`
}

func (a *app) logCheckpoint(ctx context.Context, folder string, asJSON bool) error {
	c, p, err := ktlog.Checkpoint(ctx, folder)
	if err != nil {
		return err
	}
	if !asJSON {
		_, err := a.stdout.Write(c.Note)
		return err
	}
	return json.NewEncoder(a.stdout).Encode(printedCheckpoint{
		Schema: "posthornd.log-checkpoint/1", Origin: originOf(c.Note), Size: c.Size, Root: hex.EncodeToString(c.Root[:]),
		Witnesses: append([]string{}, c.Witnesses...), SignedAt: c.Newest.UTC().Format(time.RFC3339),
		Note: string(c.Note), Policy: string(c.Policy().Text()), Updates: p.Updates, Roots: p.Roots,
	})
}

// originOf is the first line of a checkpoint.
func originOf(signed []byte) string {
	for i, b := range signed {
		if b == '\n' {
			return string(signed[:i])
		}
	}
	return ""
}

func newLogVerify(a *app) *cobra.Command {
	return logCommand("verify", "Verify every entry, tile and root of the log",
		`Read both logs from their files and believe nothing: each hash of each tile, the
roots one by one against the updates before them, the map that follows, and the
checkpoint with its witnesses. A server may run on the folder. The exit code is
0 when everything follows, and 1 when something does not.`, a.logVerify)
}

// printedVerdict is what log verify prints with --json.
type printedVerdict struct {
	Schema    string   `json:"schema"`
	OK        bool     `json:"ok"`
	Roots     uint64   `json:"roots"`
	Updates   uint64   `json:"updates"`
	Names     int      `json:"names"`
	Root      string   `json:"root"` // hex
	Witnesses []string `json:"witnesses"`
	SignedAt  string   `json:"signed_at"`
	Error     string   `json:"error,omitempty"`
}

func (a *app) logVerify(ctx context.Context, folder string, asJSON bool) error {
	if _, _, err := ktlog.ReadPublic(folder); err != nil {
		return err
	}
	r, err := ktlog.Verify(ctx, folder)
	if ctx.Err() != nil {
		return interruptedCheck()
	}
	if err != nil {
		if asJSON {
			_ = json.NewEncoder(a.stdout).Encode(printedVerdict{Schema: "posthornd.log-verify/1", Witnesses: []string{}, Error: err.Error()})
		}
		return &failure{exitUser, "the transparency log does not verify: " + err.Error() + "; nothing was changed", "keep a copy of the folder kt; without it a start makes the files anew from the store"}
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(printedVerdict{
			Schema: "posthornd.log-verify/1", OK: true, Roots: r.Roots, Updates: r.Updates, Names: r.Names,
			Root: hex.EncodeToString(r.Root[:]), Witnesses: append([]string{}, r.Witnesses...), SignedAt: r.SignedAt.UTC().Format(time.RFC3339),
		})
	}
	_, err = fmt.Fprintf(a.stdout, "%d entries of the log of roots, %d of the log of updates, %d names, %d witnesses: everything follows\n", r.Roots, r.Updates, r.Names, len(r.Witnesses))
	return err
}

func interruptedCheck() *failure {
	return &failure{exitUser, "interrupted, nothing is known about the log", "run the command again"}
}
