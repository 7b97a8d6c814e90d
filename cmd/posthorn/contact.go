package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
)

func newContact(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "contact",
		GroupID: groupTalk,
		Short:   "List the people you know, accept or block somebody",
		Long: `Whoever you write to becomes a contact. Somebody who wrote to you first is a
stranger until you answer or accept them: they get no delivery receipts and
cannot tell whether this device has ever been online.`,
		Example: `  posthorn contact list
  posthorn contact show @bob
  posthorn contact accept @carol
  posthorn contact block @mallory`,
		Args: noSubcommand,
		RunE: runGroup,
	}
	cmd.AddCommand(newContactList(a), newContactShow(a), newContactAccept(a), newContactBlock(a))
	return cmd
}

func newContactList(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List contacts and strangers",
		Long:    "List everybody this profile has messages of, with how they stand to you.",
		Example: "  posthorn contact list\n  posthorn contact list --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withProfile(cmd.Context(), func(c *client.Client) error {
			return a.showing(cmd.Context(), c, func(removed bool) error {
				contacts, err := c.Contacts(cmd.Context())
				if err != nil {
					return err
				}
				for _, contact := range contacts {
					if err := a.printContact(contact, removed, asJSON); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return cmd
}

func newContactAccept(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "accept @NAME",
		Short: "Accept somebody who wrote to you",
		Long: `Make a stranger a contact. From now on they get delivery receipts and answers to
rekeys, also for what they sent before.

When the server shows another account under a contact's name, nothing is sent to
either. Accepting the name then takes the account that the server shows now:
compare codes first ('posthorn verify') if you can.`,
		Example: "  posthorn contact accept @carol\n  posthorn contact accept @carol --json",
		Args:    arguments(1, 1, "one @NAME"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the contact as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := parsePeer(args[0])
		if err != nil {
			return err
		}
		return a.withServer(cmd.Context(), func(c *client.Client) error {
			if err := c.AcceptContact(cmd.Context(), name); err != nil {
				return err
			}
			if err := refresh(cmd.Context(), c); err != nil || !asJSON {
				return err
			}
			contact, err := c.Contact(cmd.Context(), name)
			if err != nil {
				return err
			}
			return a.printContact(contact, false, true)
		})
	}
	return cmd
}

// noteStrangers says whose messages were just shown although they are no
// contacts, and what to do about it.
func (a *app) noteStrangers(ctx context.Context, c *client.Client, writers map[account.Name]bool) error {
	if len(writers) == 0 {
		return nil
	}
	contacts, err := c.Contacts(ctx)
	for _, contact := range contacts {
		if writers[contact.Name] && !contact.Accepted && !contact.Blocked {
			a.say("note", fmt.Sprintf("@%s is a stranger and gets no receipts; answer, or 'posthorn contact accept @%s'", contact.Name, contact.Name))
		}
	}
	return err
}

// contactJSON is what the contact commands print with --json.
type contactJSON struct {
	Schema     string   `json:"schema"`
	Name       string   `json:"name"`
	AccountID  string   `json:"account_id"`
	State      string   `json:"state"`
	Verified   string   `json:"verified"`
	VerifiedAt moment   `json:"verified_at"`
	Devices    []string `json:"devices"`
	FirstSeen  moment   `json:"first_seen_at"`
	Log        *logJSON `json:"log"`                      // null: the server keeps none
	Removed    bool     `json:"device_removed,omitempty"` // true: the device that says this is off its account
}

func contactOf(c client.Contact, removed bool) contactJSON {
	out := contactJSON{
		Schema: "posthorn.contact/1", Name: string(c.Name), AccountID: c.AccountID.String(), State: standing(c),
		Verified: string(c.Trust), VerifiedAt: moment(c.VerifiedAt), Devices: []string{}, FirstSeen: moment(c.FirstSeen), Log: logOf(c.Log), Removed: removed,
	}
	for _, id := range c.Devices {
		out.Devices = append(out.Devices, id.String())
	}
	return out
}

// standing is how somebody stands to this profile, in one word.
func standing(c client.Contact) string {
	switch {
	case c.Blocked:
		return "blocked"
	case c.Accepted:
		return "contact"
	default:
		return "stranger"
	}
}

func (a *app) printContact(c client.Contact, removed, asJSON bool) error {
	if asJSON {
		return a.printJSON(contactOf(c, removed))
	}
	_, err := fmt.Fprintf(a.stdout, "@%-32s  %-8s  %s\n", c.Name, standing(c), c.Trust)
	return err
}
