package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/recovery"
)

// errNotWritten: the words that were asked for were not the right ones.
var errNotWritten = errors.New("these are not the words of the phrase, nothing was changed")

func newDeviceRecovery(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recovery",
		Short: "Make, replace or clear the recovery key of your account",
		Long: `A recovery key takes your account back when every device is lost or stolen. It is
made from 33 words that are shown once. Write them down; whoever has them has
your account.`,
		Example: "  posthorn device recovery create\n  posthorn device recovery replace\n  posthorn device recovery clear",
		Args:    noSubcommand,
		RunE:    runGroup,
	}
	cmd.AddCommand(newRecoveryCreate(a), newRecoveryReplace(a), newRecoveryClear(a))
	return cmd
}

const recoverySchema = "posthorn.device-recovery/1"

// recoveryJSON is what the commands about the recovery key say: first the words of
// a new one, then what came of it.
type recoveryJSON struct {
	Schema string `json:"schema"`
	State  string `json:"state"` // shown, set, cleared
	Phrase string `json:"phrase,omitempty"`
	Code   string `json:"public_code,omitempty"`
}

// holdJSON is how long no device can change the account.
type holdJSON struct {
	Schema string `json:"schema"`
	Until  moment `json:"until"`
}

func newRecoveryCreate(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Give your account a recovery key",
		Long: `Show the 33 words of a new recovery key on standard output, once, and give your
account that key. In a terminal you are asked for two of the words first.`,
		Example: "  posthorn device recovery create\n  posthorn device recovery create --json",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withServer(cmd.Context(), func(c *client.Client) error { return a.newPhrase(cmd, c, nil, asJSON) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the words, and then the result, as JSON")
	return cmd
}

func newRecoveryReplace(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "replace",
		Short: "Replace the recovery key by a new one",
		Long: `Replace the recovery key. The old phrase is asked for in a terminal, or read from
standard input; the new one is shown on standard output, once.`,
		Example: "  posthorn device recovery replace\n  posthorn device recovery replace --json < old-phrase",
		Args:    arguments(0, 0, "no arguments"),
		RunE: a.withPhrase(func(cmd *cobra.Command, c *client.Client, present *secret.Key) error {
			return a.newPhrase(cmd, c, present, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the new words, and then the result, as JSON")
	return cmd
}

func newRecoveryClear(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "clear",
		Short:   "Take the recovery key off your account",
		Long:    "Take the recovery key off your account. Its phrase is asked for in a terminal, or\nread from standard input.",
		Example: "  posthorn device recovery clear\n  posthorn device recovery clear --json < phrase",
		Args:    arguments(0, 0, "no arguments"),
		RunE: a.withPhrase(func(cmd *cobra.Command, c *client.Client, present *secret.Key) error {
			if err := c.ClearRecovery(cmd.Context(), present); err != nil {
				return err
			}
			a.warnUnrecoverable()
			if !asJSON {
				return nil
			}
			return a.printJSON(recoveryJSON{Schema: recoverySchema, State: "cleared"})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func newDeviceHold(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Stop every change of your devices for an hour",
		Long: `Keep all devices from changing your account for an hour, for instance while you
look for one that may be stolen. The recovery phrase is asked for in a terminal,
or read from standard input. With the phrase you can still change the account.`,
		Example: "  posthorn device hold\n  posthorn device hold --json < phrase",
		Args:    arguments(0, 0, "no arguments"),
		RunE: a.withPhrase(func(cmd *cobra.Command, c *client.Client, present *secret.Key) error {
			until, err := c.Hold(cmd.Context(), present)
			if err != nil {
				return err
			}
			a.say("note", "no device can change your account until "+until.Local().Format(time.TimeOnly))
			if !asJSON {
				return nil
			}
			return a.printJSON(holdJSON{"posthorn.device-hold/1", moment(until)})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print until when, as JSON")
	return cmd
}

// withPhrase reads a recovery phrase, opens the profile and runs do.
func (a *app) withPhrase(do func(*cobra.Command, *client.Client, *secret.Key) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		present, err := a.phrase()
		if err != nil {
			return err
		}
		defer present.Wipe()
		return a.withProfile(cmd.Context(), func(c *client.Client) error { return do(cmd, c, &present) })
	}
}

// newPhrase shows a new phrase, makes sure that it was written down, and then
// gives the account its key, in place of the present one if there is one.
func (a *app) newPhrase(cmd *cobra.Command, c *client.Client, present *secret.Key, asJSON bool) error {
	if err := c.CheckRecovery(cmd.Context(), present); err != nil {
		return err
	}
	next := c.NewPhrase()
	defer next.Wipe()
	words := strings.Fields(recovery.Words(&next))
	if err := a.showPhrase(strings.Join(words, " "), asJSON); err != nil {
		return err
	}
	if err := a.askWritten(words); err != nil {
		return err
	}
	if err := c.SetRecovery(cmd.Context(), present, &next); err != nil {
		return err
	}
	a.say("note", "these words take your account back; they are not shown again, and whoever has them has the account")
	a.say("hint", "write beside them your public code, "+c.PublicCode()+", so that no server can show you another account when you use them")
	if !asJSON {
		return nil
	}
	return a.printJSON(recoveryJSON{Schema: recoverySchema, State: "set", Code: c.PublicCode()})
}

// showPhrase prints the words before they count for anything.
func (a *app) showPhrase(words string, asJSON bool) error {
	var err error
	if asJSON {
		err = a.printJSON(recoveryJSON{Schema: recoverySchema, State: "shown", Phrase: words})
	} else {
		_, err = fmt.Fprintln(a.stdout, words)
	}
	if err != nil {
		return fmt.Errorf("%w (%w)", errOutput, err)
	}
	return nil
}

// askWritten asks for two of the words on a terminal.
func (a *app) askWritten(words []string) error {
	if !term.IsTerminal(int(a.stdin.Fd())) {
		return nil
	}
	answers := bufio.NewScanner(a.stdin)
	for _, i := range rand.Perm(len(words))[:2] { // which ones is no secret
		fmt.Fprintf(a.stderr, "posthorn: what is word %d? ", i+1)
		if !answers.Scan() || strings.ToLower(strings.TrimSpace(answers.Text())) != words[i] {
			return errNotWritten
		}
	}
	return answers.Err()
}

// phrase reads a recovery phrase: one line that is not shown on a terminal, else
// all of standard input. Wipe it after use.
func (a *app) phrase() (secret.Key, error) {
	var text []byte
	var err error
	if term.IsTerminal(int(a.stdin.Fd())) {
		fmt.Fprint(a.stderr, "posthorn: recovery phrase: ")
		text, err = term.ReadPassword(int(a.stdin.Fd()))
		fmt.Fprintln(a.stderr)
	} else {
		text, err = io.ReadAll(io.LimitReader(a.stdin, recovery.MaxText+1))
	}
	defer clear(text)
	if err != nil {
		return secret.Key{}, fmt.Errorf("%w (%w)", recovery.ErrPhrase, err)
	}
	parsed, err := recovery.Parse(string(text))
	if unlisted, ok := errors.AsType[*recovery.UnlistedError](err); ok {
		a.say("note", fmt.Sprintf("word %d, %q, is not on the list", unlisted.Place, unlisted.Word))
	} else if err != nil {
		a.say("note", err.Error())
	}
	return parsed, err
}
