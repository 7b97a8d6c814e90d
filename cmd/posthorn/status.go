package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/client"
)

func newStatus(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: groupAccount,
		Short:   "Show the account, its server and what waits",
		Long: `Show the account, whether its server is in reach, the account's devices, and how
many messages wait to go out or to be read. A server out of reach, and that this
device was removed from the account, is shown and no failure.`,
		Example: `  posthorn status
  posthorn status --json`,
		Args: arguments(0, 0, "no arguments"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withProfile(cmd.Context(), func(c *client.Client) error {
			return a.showing(cmd.Context(), c, func(bool) error {
				status, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return a.printJSON(statusOf(status))
				}
				return a.printStatus(status)
			})
		})
	}
	return cmd
}

// statusJSON is what status --json prints.
type statusJSON struct {
	Schema    string `json:"schema"`
	Account   string `json:"account"`
	AccountID string `json:"account_id"`
	Server    string `json:"server"`
	Connected bool   `json:"connected"`
	Devices   int    `json:"devices"`
	Outbox    int    `json:"outbox"`
	Unread    int    `json:"unread"`
	Removed   bool   `json:"device_removed,omitempty"` // true: this device is off the account
}

func statusOf(s client.Status) statusJSON {
	return statusJSON{
		Schema: "posthorn.status/1", Account: string(s.Account), AccountID: s.AccountID.String(),
		Server: s.Server, Connected: s.Connected, Devices: s.Devices, Outbox: s.Outbox, Unread: s.Unread, Removed: s.Removed,
	}
}

func (a *app) printStatus(s client.Status) error {
	reach := "connected"
	switch {
	case s.Removed:
		reach = "this device was removed from the account"
	case !s.Connected:
		reach = "out of reach"
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "account\t@%s\n", s.Account)
	fmt.Fprintf(table, "account id\t%s\n", s.AccountID)
	fmt.Fprintf(table, "server\t%s (%s)\n", s.Server, reach)
	fmt.Fprintf(table, "devices\t%d\n", s.Devices)
	fmt.Fprintf(table, "to be sent\t%d\n", s.Outbox)
	fmt.Fprintf(table, "to be read\t%d\n", s.Unread)
	return table.Flush()
}
