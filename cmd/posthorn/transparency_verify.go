package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/kt"
)

func newTransparencyVerify(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Verify evidence or an exported proof, without server or profile",
		Long: `Read a file of evidence, or one that 'posthorn transparency export' wrote, and
verify it by itself. Exit code 0 says that the file shows what it claims, 4 that
it does not. Compare the log's key with the one that you know it by.`,
		Example: "  posthorn transparency verify evidence.txt\n  posthorn transparency verify bob.tlog-proof --json",
		Args:    arguments(1, 1, "one FILE"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		text, err := readBounded(args[0])
		if err != nil {
			return err
		}
		shown, err := inspect(text)
		if err != nil {
			return fmt.Errorf("%w: %w", kt.ErrEvidence, err)
		}
		if asJSON {
			return a.printJSON(shown)
		}
		_, err = fmt.Fprintf(a.stdout, "%s\n%s\nlog: %s\n", shown.What, shown.Finding, shown.Origin)
		for _, key := range shown.Keys {
			fmt.Fprintf(a.stdout, "key: %.60s...\n", key)
		}
		return err
	}
	return cmd
}

// readBounded reads a file, or standard input for "-", up to what evidence may
// have.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, kt.MaxEvidence+1))
	if err == nil && len(text) > kt.MaxEvidence {
		return nil, fmt.Errorf("%w: the file is larger than 8 MiB", kt.ErrEvidence)
	}
	return text, err
}

// verifiedJSON is what verify prints with --json.
type verifiedJSON struct {
	Schema     string   `json:"schema"`
	What       string   `json:"what"` // "evidence" or "proof"
	Kind       string   `json:"kind"`
	Check      *string  `json:"check"`
	Conclusive bool     `json:"conclusive"`
	Finding    string   `json:"finding"`
	Name       *string  `json:"name"`
	AccountID  *string  `json:"account_id"`
	Origin     string   `json:"origin"`
	Keys       []string `json:"keys"`
}

// inspect verifies a file of either sort.
func inspect(text []byte) (verifiedJSON, error) {
	if bytes.HasPrefix(text, []byte("c2sp.org/tlog-proof@")) {
		return inspectProof(text)
	}
	e, err := kt.ParseEvidence(text)
	if err != nil {
		return verifiedJSON{}, err
	}
	finding, err := e.Verify()
	if err != nil {
		return verifiedJSON{}, err
	}
	out := verifiedJSON{
		Schema: "posthorn.evidence/1", What: "evidence", Kind: e.Kind, Check: known(e.Check), Conclusive: finding.Conclusive,
		Finding: finding.Words, Name: known(string(e.Name)), Origin: e.Policy.Origin(), Keys: e.Policy.LogKeys(),
	}
	if e.Record != nil {
		id := e.Record.Account.String()
		out.AccountID = &id
	}
	return out, nil
}

func inspectProof(text []byte) (verifiedJSON, error) {
	x, err := kt.ParseExported(text)
	if err != nil {
		return verifiedJSON{}, err
	}
	v, err := x.Verify()
	if err != nil {
		return verifiedJSON{}, err
	}
	out := verifiedJSON{
		Schema: "posthorn.evidence/1", What: "proof", Kind: "absent", Conclusive: true, Name: known(string(x.Name)),
		Origin: x.Policy.Origin(), Keys: x.Policy.LogKeys(),
		Finding: fmt.Sprintf("Nobody has the name @%s, says the log of %d entries with root %s.", x.Name, v.Checkpoint.Size, hex.EncodeToString(v.Checkpoint.Root[:])),
	}
	if x.Record != nil && v.Label != nil {
		id := x.Record.Account.String()
		out.Kind, out.AccountID = "record", &id
		out.Finding = fmt.Sprintf("The log of %d entries with root %s holds version %d of @%s: account %s, statement %d.",
			v.Checkpoint.Size, hex.EncodeToString(v.Checkpoint.Root[:]), v.Label.Version, x.Name, id, x.Record.Seq)
	}
	return out, nil
}
