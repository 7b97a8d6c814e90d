package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/client"
)

func newSession(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "session",
		GroupID: groupTalk,
		Short:   "Show or renew the keys of a conversation",
		Long: `Every conversation renews its post-quantum keys by itself: by default after 50
messages or a day, and never later than a week. These commands show how far it
is and ask for a renewal now.`,
		Example: `  posthorn session show @bob
  posthorn session rekey @bob`,
		Args: noSubcommand,
		RunE: runGroup,
	}
	cmd.AddCommand(newSessionShow(a), newSessionRekey(a))
	return cmd
}

func newSessionShow(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show @NAME",
		Short: "Show level, epoch and rekeys of a conversation",
		Long: `Show the security state of the conversation with each of the contact's devices:
suite, level, epoch, completed post-quantum rekeys, messages since the last one,
and when the next is due by time alone.`,
		Example: `  posthorn session show @bob
  posthorn session show @bob --json`,
		Args: arguments(1, 1, "one @NAME"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := parsePeer(args[0])
		if err != nil {
			return err
		}
		return a.withProfile(cmd.Context(), func(c *client.Client) error {
			return a.showing(cmd.Context(), c, func(removed bool) error {
				conversation, err := c.Sessions(cmd.Context(), name)
				if errors.Is(err, client.ErrUnknownName) {
					conversation.Contact, err = name, find(cmd.Context(), c, name)
				}
				if err != nil {
					return err
				}
				if asJSON {
					return a.printJSON(conversationOf(conversation, removed))
				}
				return a.printConversation(conversation)
			})
		})
	}
	return cmd
}

func newSessionRekey(a *app) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "rekey @NAME",
		Short: "Renew the post-quantum keys of a conversation now",
		Long: `Ask every device of the contact for a post-quantum rekey and wait until it is
complete. That takes an answer, so they have to come online in time, and to have
you as a contact. If they do not, the exit code is 3; the rekey then completes
when they are back.`,
		Example: `  posthorn session rekey @bob
  posthorn session rekey @bob --wait 1m`,
		Args: arguments(1, 1, "one @NAME"),
	}
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Second, "wait this `time` for the answer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := parsePeer(args[0])
		if err != nil {
			return err
		}
		if wait <= 0 {
			return usagef(cmd, "--wait must be longer than nothing")
		}
		return a.withServer(cmd.Context(), func(c *client.Client) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			err := c.Rekey(ctx, name)
			if errors.Is(err, client.ErrUnknownName) {
				if err = c.Find(ctx, name); err == nil {
					err = client.ErrNoSession
				}
			}
			if err == nil {
				err = c.WaitRekey(ctx, name)
			}
			if errors.Is(err, context.DeadlineExceeded) && cmd.Context().Err() == nil {
				return timeout("@%s did not answer within %s; the rekey completes when they are back", name, wait)
			}
			return err
		})
	}
	return cmd
}

// conversationJSON is what session show --json prints.
type conversationJSON struct {
	Schema  string       `json:"schema"`
	Contact string       `json:"contact"`
	Level   *string      `json:"level"`
	Devices []deviceJSON `json:"devices"`
	Removed bool         `json:"device_removed,omitempty"` // true: the device that says this is off its account
}

// deviceJSON is one device of the contact in it. Without a session with the
// device everything but its id is null.
type deviceJSON struct {
	DeviceID           string  `json:"device_id"`
	Suite              *string `json:"suite"`
	Level              *string `json:"level"`
	Epoch              *uint32 `json:"epoch"`
	KEMRekeys          *int    `json:"kem_rekeys"`
	MessagesSinceRekey *int    `json:"messages_since_rekey"`
	LastRekeyAt        moment  `json:"last_rekey_at"`
	RekeyDueAt         moment  `json:"rekey_due_at"`
}

func conversationOf(c client.Conversation, removed bool) conversationJSON {
	out := conversationJSON{Schema: "posthorn.session/1", Contact: string(c.Contact), Level: known(c.Level), Devices: []deviceJSON{}, Removed: removed}
	for _, d := range c.Devices {
		device := deviceJSON{DeviceID: d.DeviceID.String()}
		if d.Level != "" {
			device.Suite, device.Level, device.Epoch = &d.Suite, &d.Level, &d.Epoch
			device.KEMRekeys, device.MessagesSinceRekey = &d.KEMRekeys, &d.MessagesSinceRekey
			device.LastRekeyAt, device.RekeyDueAt = orUnknown(d.LastRekeyAt), orUnknown(d.RekeyDueAt)
		}
		out.Devices = append(out.Devices, device)
	}
	return out
}

// known is null in JSON for an empty text.
func known(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func orUnknown(t *time.Time) moment {
	if t == nil {
		return moment{}
	}
	return moment(*t)
}

func (a *app) printConversation(c client.Conversation) error {
	if len(c.Devices) == 0 {
		a.say("note", fmt.Sprintf("there is no conversation with @%s yet; the first message starts one", c.Contact))
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for i, d := range c.Devices {
		if i > 0 {
			fmt.Fprintln(table)
		}
		fmt.Fprintf(table, "@%s\tdevice %.16s\n", c.Contact, d.DeviceID)
		if d.Level == "" {
			fmt.Fprintf(table, "level\tno session yet; the first message starts one\n")
			continue
		}
		fmt.Fprintf(table, "level\t%s (%s)\n", d.Level, d.Suite)
		fmt.Fprintf(table, "epoch\t%d\n", d.Epoch)
		fmt.Fprintf(table, "post-quantum rekeys\t%d since the start\n", d.KEMRekeys)
		fmt.Fprintf(table, "messages since\t%d\n", d.MessagesSinceRekey)
		fmt.Fprintf(table, "last rekey\t%s\n", clock(time.Time(orUnknown(d.LastRekeyAt))))
		fmt.Fprintf(table, "next due\t%s at the latest\n", clock(time.Time(orUnknown(d.RekeyDueAt))))
	}
	return table.Flush()
}
