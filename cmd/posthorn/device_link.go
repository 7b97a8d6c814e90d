package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/client/transport"
)

// historyPatience is how long a new device waits for the next part of its
// history before it leaves the rest to later commands.
const historyPatience = 20 * time.Second

const linkSchema = "posthorn.device-link/1"

// linkJSON is what a new device says: first its code, then what came of it.
type linkJSON struct {
	Schema  string       `json:"schema"`
	State   string       `json:"state"` // waiting, linked
	Code    string       `json:"code,omitempty"`
	Expires *moment      `json:"expires_at,omitempty"`
	Name    string       `json:"name,omitempty"`
	Account string       `json:"account_id,omitempty"`
	Device  string       `json:"device_id,omitempty"`
	Label   string       `json:"device_name,omitempty"`
	History *historyJSON `json:"history,omitempty"`
}

// historyJSON is how far the history is.
type historyJSON struct {
	Done     uint64 `json:"done"`
	Total    uint64 `json:"total"`
	Finished bool   `json:"finished"`
	Without  bool   `json:"no_attachments,omitempty"` // the server keeps none, so nothing is handed over
}

func newDeviceLink(a *app) *cobra.Command {
	var server, label string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "link --server URL",
		Short: "Make this a further device of an account that you have",
		Long: `Make this a further device of an account that you have. It prints a code, and on a
terminal a QR code of it, and waits for ten minutes. Give the code to a device
that is on the account, with 'posthorn device approve CODE'. Both need the same
server. Then contacts and messages arrive.

The code is the whole secret between the two devices: show it to nobody else. The
server never sees it. If this was cut off, run the same command again.`,
		Example: "  posthorn device link --server https://posthorn.example",
		Args:    arguments(0, 0, "no argument"),
	}
	cmd.Flags().StringVar(&server, "server", "", "`URL` of the server that the account is on")
	deviceNameFlag(cmd, &label, "name")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the code, and then the result, as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if server == "" {
			return usagef(cmd, "say --server with the address of the server that your account is on")
		}
		if _, err := transport.ParseAddress(server); err != nil {
			return err
		}
		label = deviceLabel(label)
		c, err := client.Link(cmd.Context(), a.config(), server, label, func(code string, ends time.Time) error { return a.showCode(code, ends, asJSON) })
		if err != nil {
			return err
		}
		err = a.linked(cmd.Context(), c, label, asJSON)
		if closed := c.Close(); err == nil {
			err = closed
		}
		return err
	}
	return cmd
}

// deviceLabel is the name that a device gives itself.
func deviceLabel(chosen string) string {
	if chosen != "" {
		return chosen
	}
	host, _ := os.Hostname()
	if host = strings.ToValidUTF8(host, ""); strings.TrimSpace(host) == "" {
		host = "a new device"
	}
	label := []rune(host)
	for len(string(label)) > client.MaxDeviceName {
		label = label[:len(label)-1]
	}
	return string(label)
}

// deviceNameFlag adds the option that names this device, under a name of its own
// where NAME is something else.
func deviceNameFlag(cmd *cobra.Command, label *string, flag string) {
	cmd.Flags().StringVar(label, flag, "", "what to call this device, for you alone (default: this machine's name)")
}

// showCode prints the code at once: whoever reads it is waiting.
func (a *app) showCode(code string, ends time.Time, asJSON bool) error {
	if asJSON {
		until := moment(ends)
		return a.printJSON(linkJSON{Schema: linkSchema, State: "waiting", Code: code, Expires: &until})
	}
	if _, err := fmt.Fprintln(a.stdout, code); err != nil {
		return fmt.Errorf("%w (%w)", errOutput, err)
	}
	if err := a.printQR(code); err != nil {
		return fmt.Errorf("%w (%w)", errOutput, err)
	}
	a.say("note", "on a device of the account, run: posthorn device approve "+code)
	return nil
}

// linked takes the history in and says what this device is now.
func (a *app) linked(ctx context.Context, c *client.Client, label string, asJSON bool) error {
	progress := a.newBar("receiving")
	p, err := c.ImportHistory(ctx, historyPatience, progress.history)
	progress.end()
	without := errors.Is(err, client.ErrNoAttachments)
	switch {
	case without:
		a.say("note", "this server keeps no attachments, so contacts, what you verified and messages were not handed over and do not come later; they stay on your other device")
	case err != nil:
		return err
	case !p.Finished:
		a.say("note", "the history has not all arrived; it comes with the next commands, while the other device is online")
	}
	who := c.Self()
	if asJSON {
		return a.printJSON(linkJSON{
			Schema: linkSchema, State: "linked", Name: string(who.Name), Account: hex.EncodeToString(who.Account[:]),
			Device: hex.EncodeToString(who.Device[:]), Label: label, History: &historyJSON{p.Done, p.Total, p.Finished, without},
		})
	}
	here := fmt.Sprintf("; %d of %d contacts and messages are here", p.Done, p.Total)
	if without {
		here = ""
	}
	a.say("note", fmt.Sprintf("this is a device of @%s now%s", who.Name, here))
	return nil
}

// history is tell for contacts and messages instead of bytes.
func (b *bar) history(p client.HistoryProgress) {
	if b.out == nil || p.Total == 0 {
		return
	}
	b.draw(fmt.Sprintf("%s history: %d of %d", b.what, p.Done, p.Total))
}
