package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/visible"
	"github.com/posthorn/posthorn/kt"
)

func newTransparency(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "transparency",
		GroupID: groupAccount,
		Short:   "See that the server shows everybody the same keys",
		Long: `The server keeps a log of which keys belong to which name, and every look-up is
checked against it before a key is used. These commands show what was checked,
check it now, and give it to others as files. Whatever does not agree is refused
with exit code 4, and leaves a file in the folder "evidence" of the profile.`,
		Example: `  posthorn transparency status
  posthorn transparency check @bob
  posthorn transparency verify evidence.txt`,
		Args: noSubcommand,
		RunE: runGroup,
	}
	cmd.AddCommand(newTransparencyStatus(a), newTransparencyCheck(a), newTransparencyExport(a),
		newTransparencyAudit(a), newTransparencyKeys(a), newTransparencyVerify(a), newTransparencyForget(a))
	return cmd
}

func newTransparencyStatus(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the log, and look at what it says of you",
		Long: `Show how large the log is, which witnesses have signed it and when it was last
checked. With the server in reach, your own name is looked up in it: every change
of your devices that it holds has to be one that your account has made.`,
		Example: "  posthorn transparency status\n  posthorn transparency status --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withProfile(cmd.Context(), func(c *client.Client) error {
			err := c.Belongs(cmd.Context())
			if err == nil {
				err = c.ProveRemoval(cmd.Context(), c.CheckOwnName(cmd.Context()))
			}
			removed := errors.Is(err, client.ErrRemoved)
			if err != nil && !removed && !errors.Is(err, client.ErrOffline) && !errors.Is(err, client.ErrTransparency) && !errors.Is(err, client.ErrNoLog) {
				return err
			}
			view, failed := c.Log(cmd.Context())
			if failed != nil {
				return failed
			}
			consistent := view.Known() && view.Alarm == "" && !errors.Is(err, client.ErrTransparency)
			if failed := a.printLog(view, "", consistent, asJSON); failed != nil || errors.Is(err, client.ErrTransparency) {
				return errors.Join(failed, err)
			}
			if removed {
				a.sayRemoved()
			}
			if errors.Is(err, client.ErrOffline) {
				a.say("note", "the server is out of reach, so this is the state of the last check")
			}
			return nil
		})
	}
	return cmd
}

func newTransparencyCheck(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check @NAME",
		Short: "Check now what the log says about a name",
		Long: `Look a name up on the server and check the answer against the log, although it
may have been checked a moment ago. A name that nobody has is checked as well,
and ends with exit code 6.`,
		Example: "  posthorn transparency check @bob\n  posthorn transparency check @bob --json",
		Args:    arguments(1, 1, "one @NAME"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := parsePeer(args[0])
		if err != nil {
			return err
		}
		return a.withServer(cmd.Context(), func(c *client.Client) error {
			view, err := c.CheckName(cmd.Context(), name)
			if err != nil {
				return err
			}
			return a.printLog(view, string(name), true, asJSON)
		})
	}
	return cmd
}

func newTransparencyExport(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "export @NAME",
		Short: "Write the proof of what the log says about a name",
		Long: `Write a file that proves to anybody what the log says about a name, or that
nobody has it: a signed checkpoint, the proof that the newest root is in the log,
and all that leads from there to the name. It has the form of C2SP tlog-proof, and
holds no secret, but the name.`,
		Example: "  posthorn transparency export @bob > bob.tlog-proof\n  posthorn transparency export @bob --out bob.tlog-proof",
		Args:    arguments(1, 1, "one @NAME"),
	}
	cmd.Flags().StringVar(&out, "out", "", "write into this new `file` instead of standard output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := parsePeer(args[0])
		if err != nil {
			return err
		}
		return a.withServer(cmd.Context(), func(c *client.Client) error {
			text, err := c.ExportProof(cmd.Context(), name)
			if err != nil {
				return err
			}
			if out != "" {
				return writeNew(out, text)
			}
			_, err = a.stdout.Write(text)
			return err
		})
	}
	return cmd
}

// writeNew writes a file that must not be there yet.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return &usageError{"the file is there already, nothing was written", "name another file with --out"}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func newTransparencyAudit(a *app) *cobra.Command {
	var asJSON bool
	var cosign string
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Go through the whole log and make every root anew",
		Long: `Fetch every change in the log, from where the last audit ended, make the map of
all names from them, and compare its root with the published one, epoch by epoch.
Names stay hidden. A server that showed other keys for a moment is found, as long
as it published them at all, and what is found leaves a file of evidence.

With --cosign, keys of your own sign the checkpoint that was audited, and it is
printed: a signed note that says, to whoever relies on your keys, that everything
up to there was made anew. 'posthorn transparency keys FILE' makes such keys.`,
		Example: "  posthorn transparency audit\n  posthorn transparency audit --cosign auditor.json > audited.note",
		Args:    arguments(0, 0, "no arguments"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().StringVar(&cosign, "cosign", "", "sign the audited checkpoint with the keys in this `file`, and print it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withServer(cmd.Context(), func(c *client.Client) error {
			done, err := c.AuditLog(cmd.Context(), cosign)
			if err != nil {
				return err
			}
			return a.printAudit(done, asJSON)
		})
	}
	return cmd
}

func (a *app) printAudit(done client.Audited, asJSON bool) error {
	if asJSON {
		return a.printJSON(auditJSON{
			"posthorn.audit/1", done.Epochs, done.Updates, done.Names, done.From, logOf(done.View),
			known(string(done.Cosigned)), append([]string{}, done.Cosigner...),
		})
	}
	out := a.stdout
	if done.Cosigned != nil {
		if _, err := a.stdout.Write(done.Cosigned); err != nil {
			return err
		}
		out = a.stderr
	}
	_, err := fmt.Fprintf(out, "All %d roots follow from the %d changes of %d names.\n", done.Epochs, done.Updates, done.Names)
	return err
}

func newTransparencyForget(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget",
		Short: "Forget the server's log, and take its word anew",
		Long: `Forget the log of this server with everything that was checked in it, and an
alarm. The next look-up takes the server's word for its log, as the first did.
Contacts, and what you verified yourself, stay. Do this only after the operator
has explained, on another channel, why the log began anew.`,
		Example: "  posthorn transparency forget --yes",
		Args:    arguments(0, 0, "no arguments"),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !yes {
			return usagef(cmd, "nothing was forgotten; give --yes to do it")
		}
		return a.withProfile(cmd.Context(), func(c *client.Client) error { return c.ForgetLog(cmd.Context()) })
	}
	return cmd
}

// transparencyJSON is what status and check print with --json.
type transparencyJSON struct {
	Schema     string   `json:"schema"`
	Name       *string  `json:"name"` // null: the log as a whole
	Consistent bool     `json:"consistent"`
	Evidence   *string  `json:"evidence"` // path; null: the log has not contradicted itself
	Log        *logJSON `json:"log"`      // null: the server keeps none
}

type auditJSON struct {
	Schema  string   `json:"schema"`
	Epochs  uint64   `json:"epochs"`
	Updates uint64   `json:"updates"`
	Names   int      `json:"names"`
	From    uint64   `json:"from"` // epochs that earlier audits went through
	Log     *logJSON `json:"log"`
	Signed  *string  `json:"cosigned"`      // the audited checkpoint with the signatures that were asked for; null: none
	Keys    []string `json:"cosigner_keys"` // Ed25519 and ML-DSA-44
}

// logJSON is what was verified of a log.
type logJSON struct {
	Origin    string   `json:"origin"`
	Size      uint64   `json:"size"`
	Root      string   `json:"root"`
	Witnesses []string `json:"witnesses"`
	SignedAt  moment   `json:"signed_at"`
	CheckedAt moment   `json:"checked_at"`
	Number    uint32   `json:"policy_number"` // 0: the log began with it
	Policy    string   `json:"policy"`        // C2SP tlog-policy
}

func logOf(v client.LogView) *logJSON {
	if !v.Known() {
		return nil
	}
	return &logJSON{
		Origin: v.Origin, Size: v.Size, Root: hex.EncodeToString(v.Root[:]), Witnesses: append([]string{}, v.Witnesses...),
		SignedAt: moment(v.SignedAt), CheckedAt: moment(v.CheckedAt), Number: v.Policy, Policy: v.Text,
	}
}

func (a *app) printLog(v client.LogView, name string, consistent, asJSON bool) error {
	if asJSON {
		return a.printJSON(transparencyJSON{"posthorn.transparency/1", known(name), consistent, known(v.Alarm), logOf(v)})
	}
	if !v.Known() {
		_, err := fmt.Fprintln(a.stdout, "No log is known: the server keeps none, or was out of reach so far.")
		return err
	}
	state := "consistent"
	if !consistent {
		state = "NOT consistent"
	}
	witnesses := "no witnesses"
	if len(v.Witnesses) > 0 {
		witnesses = "witnesses " + visible.Text(strings.Join(v.Witnesses, ", "))
	}
	if v.Policy > 0 {
		witnesses += fmt.Sprintf(", policy %d", v.Policy)
	}
	_, err := fmt.Fprintf(a.stdout, "%s, checked %s, size %d, root %.16x, %s\n", state, clock(v.CheckedAt), v.Size, v.Root, witnesses)
	return err
}

// reportLog says what the log refused, what did not happen, and what to do.
func (a *app) reportLog(failed *client.LogError) int {
	a.say("error", client.ErrTransparency.Error())
	var rule *reject.Error
	switch {
	case errors.As(failed.Err, &rule):
		a.say("reason", strings.TrimPrefix(rule.Error(), "kt: "))
	default:
		a.say("reason", failed.Err.Error())
	}
	if failed.Evidence == "" {
		hint := "try again later; if it stays, ask the server's operator on another channel"
		switch {
		case errors.Is(failed, kt.ErrStale):
			hint = "check the clock of this machine, or tell the server's operator that the log stands still"
		case errors.Is(failed, client.ErrOtherLog):
			hint = "run 'posthorn transparency status' on your other device and ask the server's operator on another channel; then 'posthorn device link' again, or 'posthorn device remove' there"
		}
		a.say("hint", hint)
		return exitTrust
	}
	a.say("evidence", failed.Evidence)
	hint := "'posthorn transparency verify FILE' shows it to anybody; "
	if errors.Is(failed, kt.ErrStale) {
		hint += "check the clock of this machine first; "
	}
	hint += "ask the operator, and the other person, on another channel"
	if failed.Stopped || errors.Is(failed, kt.ErrFork) {
		hint += "; names are looked up again after 'posthorn transparency forget --yes'"
	}
	a.say("hint", hint)
	return exitTrust
}
