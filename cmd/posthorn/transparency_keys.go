package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/kt/witness"
)

func newTransparencyKeys(a *app) *cobra.Command {
	var name string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "keys FILE",
		Short: "Make the keys with which an auditor signs",
		Long: `Make a new file with an Ed25519 and an ML-DSA-44 key, and print their verifier
keys, which are public: an operator who relies on you writes them into the policy
of the log. The file is also that of a witness, 'posthornd witness serve --state
FILE', and remembers what was signed last. Keep one copy of it, and only one.`,
		Example: "  posthorn transparency keys auditor.json --name auditor.example.org\n  posthorn transparency audit --cosign auditor.json",
		Args:    arguments(1, 1, "one FILE"),
	}
	cmd.Flags().StringVar(&name, "name", "", "`name` in the signatures, such as a host name with a path (default a random one)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		keys, err := witness.Make(args[0], name)
		if errors.Is(err, witness.ErrExists) {
			return &usageError{"the file is there already, and stays as it is", "name a new FILE"}
		}
		if err != nil {
			return err
		}
		if asJSON {
			return a.printJSON(auditorKeysJSON{"posthorn.auditor-keys/1", keys})
		}
		for _, key := range keys {
			if _, err := fmt.Fprintln(a.stdout, key); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// auditorKeysJSON is what keys prints with --json.
type auditorKeysJSON struct {
	Schema string    `json:"schema"`
	Keys   [2]string `json:"keys"` // Ed25519 and ML-DSA-44
}
