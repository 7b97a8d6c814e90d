package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/client"
)

func newContactShow(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show @NAME",
		Short: "Show what is known about a contact",
		Long: `Show a contact's account, how it stands with you, whether you have compared
codes, and the devices on its roster.`,
		Example: "  posthorn contact show @bob\n  posthorn contact show @bob --json",
		Args:    arguments(1, 1, "one @NAME"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := parsePeer(args[0])
		if err != nil {
			return err
		}
		return a.withProfile(cmd.Context(), func(c *client.Client) error {
			return a.showing(cmd.Context(), c, func(removed bool) error {
				contact, err := c.Contact(cmd.Context(), name)
				if errors.Is(err, client.ErrUnknownName) {
					if err = find(cmd.Context(), c, name); err == nil {
						err = errNotAContact
					}
				}
				if err != nil {
					return err
				}
				if asJSON {
					return a.printJSON(contactOf(contact, removed))
				}
				return a.describeContact(contact)
			})
		})
	}
	return cmd
}

// errNotAContact: the account exists, and this profile has nothing to do with it.
var errNotAContact = errors.New("this profile has no contact of that name, although the account exists")

func (a *app) describeContact(c client.Contact) error {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "@%s\t%s\n", c.Name, standing(c))
	fmt.Fprintf(table, "account\t%s\n", c.AccountID)
	fmt.Fprintf(table, "codes\t%s\n", compared(c))
	fmt.Fprintf(table, "known since\t%s\n", clock(c.FirstSeen))
	for _, id := range c.Devices {
		fmt.Fprintf(table, "device\t%s\n", id)
	}
	return table.Flush()
}

// compared is the trust in a contact in words.
func compared(c client.Contact) string {
	switch c.Trust {
	case client.Verified:
		return "compared on " + clock(c.VerifiedAt)
	case client.Changed:
		return "the server shows another account under this name; nothing is sent until you have reviewed that"
	default:
		return "not compared"
	}
}

func newContactBlock(a *app) *cobra.Command {
	var asJSON, undo bool
	cmd := &cobra.Command{
		Use:   "block @NAME",
		Short: "Drop whatever somebody sends, or stop doing so",
		Long: `Drop everything that somebody sends from now on. They do not notice: to them this
device looks as if it were never online. --undo makes them a contact again; what
they sent in between is gone.`,
		Example: "  posthorn contact block @mallory\n  posthorn contact block @mallory --undo",
		Args:    arguments(1, 1, "one @NAME"),
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "hear them again")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the contact as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := parsePeer(args[0])
		if err != nil {
			return err
		}
		return a.withProfile(cmd.Context(), func(c *client.Client) error {
			if err := c.BlockContact(cmd.Context(), name, !undo); err != nil || !asJSON {
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
