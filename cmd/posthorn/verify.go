package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/verification"
)

// verifyOptions are the flags of verify.
type verifyOptions struct {
	public bool
	wait   time.Duration
	asJSON bool
}

func newVerify(a *app) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:     "verify [@NAME [CODE]]",
		GroupID: groupTalk,
		Short:   "Compare codes with somebody, so that no server can stand between you",
		Long: `Compare a code with a contact on another way: face to face, on the telephone, on
a web page that you trust. If both have the same, nobody stands between you, and
the contact stays verified when their devices come and go.

  posthorn verify @bob          show the code of both of you: 60 digits, any time;
                                and 8 digits for this moment, if @bob is online
  posthorn verify @bob CODE     say what they read to you: 60 digits, 8 digits or
                                4 words, or their public code; - reads it from
                                standard input
  posthorn verify --public      show your own code for a web page or a card

Whoever has not been verified is an ordinary contact. A code that differs changes
nothing and gives exit code 4.`,
		Example: `  posthorn verify @bob
  posthorn verify @bob "12345 67890 …"
  posthorn verify --public`,
		Args: arguments(0, 13, "@NAME, perhaps with a CODE"),
	}
	cmd.Flags().BoolVar(&o.public, "public", false, "show your own code, for everybody to compare")
	cmd.Flags().DurationVar(&o.wait, "wait", 5*time.Second, "wait this `time` for their program to answer; 0 shows the long code at once")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.verify(cmd, args, o) }
	return cmd
}

func (a *app) verify(cmd *cobra.Command, args []string, o verifyOptions) error {
	switch {
	case o.wait < 0:
		return usagef(cmd, "--wait must not be negative")
	case o.public && len(args) > 0:
		return usagef(cmd, "--public shows your own code and takes no name")
	case o.public:
		return a.withProfile(cmd.Context(), func(c *client.Client) error { return a.showPublic(c, o) })
	case len(args) == 0:
		return usagef(cmd, "'%s' needs a @NAME, or --public", cmd.CommandPath())
	}
	name, err := parsePeer(args[0])
	if err != nil {
		return err
	}
	return a.withServer(cmd.Context(), func(c *client.Client) error {
		if len(args) == 1 {
			return a.showCodes(cmd.Context(), c, name, o)
		}
		code, err := a.heard(args[1:])
		if err != nil {
			return err
		}
		return a.compare(cmd.Context(), c, name, code, o.asJSON)
	})
}

// verifyJSON is what verify --json prints. What a call does not show is null.
type verifyJSON struct {
	Schema    string   `json:"schema"`
	Name      string   `json:"name"`
	AccountID string   `json:"account_id"`
	Verified  *string  `json:"verified"`
	Code      *string  `json:"code"`       // 60 digits
	Groups    []string `json:"groups"`     // the same, 12 groups of 5
	ShortCode *string  `json:"short_code"` // 8 digits
	Words     *string  `json:"words"`      // the same, 4 words
	Public    *string  `json:"public_code"`
}

func (a *app) showPublic(c *client.Client, o verifyOptions) error {
	code := c.PublicCode()
	if o.asJSON {
		return a.printJSON(verifyJSON{Schema: "posthorn.verify/1", Name: string(c.Name()), AccountID: c.AccountID().String(), Public: &code})
	}
	_, err := fmt.Fprintln(a.stdout, code)
	a.say("hint", fmt.Sprintf("put it where people trust that it is you; they run 'posthorn verify @%s CODE'", c.Name()))
	return err
}

// maxCode bounds a code on standard input, in bytes.
const maxCode = 1024

// heard is the code that was given, in one argument or several, or on standard
// input.
func (a *app) heard(args []string) (string, error) {
	if len(args) != 1 || args[0] != "-" {
		return strings.Join(args, " "), nil
	}
	code, err := io.ReadAll(io.LimitReader(a.stdin, maxCode))
	return string(code), err
}

// compare passes on what the user heard.
func (a *app) compare(ctx context.Context, c *client.Client, name account.Name, code string, asJSON bool) error {
	if err := c.Verify(ctx, name, code); err != nil {
		return err
	}
	if !asJSON {
		_, err := fmt.Fprintf(a.stdout, "@%s is verified\n", name)
		return err
	}
	contact, err := c.Contact(ctx, name)
	if err != nil {
		return err
	}
	state := string(contact.Trust)
	return a.printJSON(verifyJSON{Schema: "posthorn.verify/1", Name: string(name), AccountID: contact.AccountID.String(), Verified: &state})
}

// showCodes prints the long code, and the short one if a live comparison comes
// about.
func (a *app) showCodes(ctx context.Context, c *client.Client, name account.Name, o verifyOptions) error {
	if err := refresh(ctx, c); err != nil {
		return err
	}
	long, id, err := c.PairCode(ctx, name)
	if err != nil {
		return err
	}
	contact, err := c.Contact(ctx, name)
	if errors.Is(err, client.ErrUnknownName) {
		contact, err = client.Contact{Trust: client.Unverified}, nil
	}
	if err != nil {
		return err
	}
	short := ""
	if contact.Accepted && o.wait > 0 {
		if short, err = a.liveCode(ctx, c, name, o.wait); err != nil {
			return err
		}
	}
	if o.asJSON {
		return a.printJSON(codesJSON(name, id, contact.Trust, long, short))
	}
	if err := a.printCodes(name, long, short); err != nil || short == "" {
		return err
	}
	return a.askHeard(ctx, c, name)
}

// liveCode runs a live comparison; the empty string says that nobody answered.
func (a *app) liveCode(ctx context.Context, c *client.Client, name account.Name, wait time.Duration) (string, error) {
	err := c.BeginComparison(ctx, name)
	if err == nil {
		var code string
		if code, err = c.WaitComparison(ctx, name, wait); err == nil {
			return code, nil
		}
	}
	if errors.Is(err, client.ErrBundle) {
		return "", err
	}
	for _, absent := range []error{client.ErrNoComparison, client.ErrOffline, client.ErrWaitingForPeer} {
		if errors.Is(err, absent) {
			return "", nil
		}
	}
	if errors.Is(err, client.ErrVerificationLocked) {
		a.say("note", err.Error())
		return "", nil
	}
	return "", err
}

func codesJSON(name account.Name, id account.ID, trust client.Trust, long, short string) verifyJSON {
	state := string(trust)
	out := verifyJSON{
		Schema: "posthorn.verify/1", Name: string(name), AccountID: id.String(), Verified: &state,
		Code: &long, Groups: strings.Fields(verification.Grouped(long)), ShortCode: known(short),
	}
	if short != "" {
		out.Words = known(verification.Words(short))
	}
	return out
}

// printCodes shows the codes to a person; on a terminal the long one also as a
// QR code.
func (a *app) printCodes(name account.Name, long, short string) error {
	if short != "" {
		fmt.Fprintf(a.stdout, "%s   %s\n\n", verification.Grouped(short), verification.Words(short))
		a.say("hint", fmt.Sprintf("read this to @%s and let them read theirs to you; if it is the same, run 'posthorn verify @%s' with it within ten minutes", name, name))
	}
	groups := strings.Fields(verification.Grouped(long))
	for ; len(groups) > 0; groups = groups[4:] {
		if _, err := fmt.Fprintln(a.stdout, strings.Join(groups[:4], " ")); err != nil {
			return err
		}
	}
	if err := a.printQR(verification.Scannable(long)); err != nil {
		return err
	}
	if short == "" {
		a.say("hint", fmt.Sprintf("@%s sees the same 60 digits with 'posthorn verify @YOU'; once you have compared them on another way, run 'posthorn verify @%s CODE'", name, name))
	}
	return nil
}

// askHeard asks on a terminal what the other side reads out. Nothing typed
// leaves it for later.
func (a *app) askHeard(ctx context.Context, c *client.Client, name account.Name) error {
	if !term.IsTerminal(int(a.stdin.Fd())) {
		return nil
	}
	fmt.Fprintf(a.stderr, "posthorn: what does @%s read to you? (8 digits or 4 words; Enter: later) ", name)
	line, _ := bufio.NewReader(a.stdin).ReadString('\n') // the end of the input is no answer
	if heard := strings.TrimSpace(line); heard != "" {
		return a.compare(ctx, c, name, heard, false)
	}
	return nil
}
