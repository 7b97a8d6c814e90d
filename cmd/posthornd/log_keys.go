package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	ktlog "github.com/posthorn/posthorn/kt/log"
)

func newLogKeys(a *app) *cobra.Command {
	return asking(&cobra.Command{
		Use:   "keys",
		Short: "Print the log's two verifier keys, and make them before a first start",
		Long: `Print the keys that witnesses of the log of roots need, Ed25519 and ML-DSA-44. In
a folder without them they are made, so that witnesses know the log before its
first start: that one binds the policy which clients ask for until another is set.`,
		Example: "  posthornd log keys --data /var/lib/posthorn\n  posthornd log keys --data data --json",
		Args:    noArguments,
	}, func(_ context.Context, q question, _ []string) error { return a.logKeys(q) })
}

// printedKeys is what log keys prints with --json.
type printedKeys struct {
	Updates [2]string `json:"update_log_keys"`
	Roots   [2]string `json:"root_log_keys"`
}

func (a *app) logKeys(q question) (err error) {
	unlock, err := claim(q.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	updates, roots, err := ktlog.MakeKeys(filepath.Join(q.data, logKeysFolder))
	if err != nil {
		return err
	}
	if q.asJSON {
		return a.printObject("posthornd.log-keys/1", printedKeys{updates, roots})
	}
	for _, key := range roots {
		if _, err := fmt.Fprintln(a.stdout, key); err != nil {
			return err
		}
	}
	return nil
}
