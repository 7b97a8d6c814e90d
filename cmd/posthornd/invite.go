package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/admin"
)

// inviteLife is how long an invite works unless the operator says otherwise.
const inviteLife = 7 * 24 * time.Hour

func newInvite(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Make links that let people make accounts",
		Long: `An invite is a link with which one person makes one account on this server,
with 'posthorn register NAME --invite URL'. The server keeps only a hash of it.
Whoever gets hold of the link can use it, so send it where only they read it.`,
		Example: "  posthornd invite create --data /var/lib/posthorn\n  posthornd invite list --data data --json",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newInviteCreate(a), newInviteList(a), newInviteRevoke(a))
	return cmd
}

func newInviteCreate(a *app) *cobra.Command {
	data, asJSON, order := "", false, admin.InviteOrder{}
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make an invite and show its link, this once",
		Long: `Make an invite and show its link. The link names the server by --address, or else
by the --public-address that it was started with, or else by the address it
listens on. A self-signed certificate's hash is in it.`,
		Example: "  posthornd invite create --data data\n  posthornd invite create --data data --expires 24h --address https://chat.example --json",
		Args:    noArguments,
	}
	dataFlag(cmd, &data)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().DurationVar(&order.Life, "expires", inviteLife, "how long it works: a `time` such as 24h, at most a year")
	cmd.Flags().StringVar(&order.Address, "address", "", "`URL` by which people reach the server")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if data == "" {
			return needsFolder(cmd)
		}
		return a.createInvite(cmd.Context(), data, order, asJSON)
	}
	return cmd
}

func (a *app) createInvite(ctx context.Context, data string, order admin.InviteOrder, asJSON bool) error {
	var made admin.NewInvite
	if err := admin.Call(ctx, data, http.MethodPost, "/invites", order, &made); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(struct {
			Schema string `json:"schema"`
			admin.NewInvite
		}{"posthornd.invite/1", made})
	}
	fmt.Fprintf(a.stderr, "posthornd: note: invite %s works once, until %s\n", made.ID, made.Expires.Format(time.RFC3339))
	_, err := fmt.Fprintln(a.stdout, made.URL)
	return err
}

func newInviteList(a *app) *cobra.Command {
	data, asJSON := "", false
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List invites and what became of them",
		Long:    "List all invites that were made, with their state: open, used, revoked or expired. The links cannot be shown again.",
		Example: "  posthornd invite list --data data\n  posthornd invite list --data data --json",
		Args:    noArguments,
	}
	dataFlag(cmd, &data)
	jsonFlag(cmd, &asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if data == "" {
			return needsFolder(cmd)
		}
		return a.listInvites(cmd.Context(), data, asJSON)
	}
	return cmd
}

func (a *app) listInvites(ctx context.Context, data string, asJSON bool) error {
	all := []admin.Invite{}
	if err := admin.Call(ctx, data, http.MethodGet, "/invites", nil, &all); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(struct {
			Schema  string         `json:"schema"`
			Invites []admin.Invite `json:"invites"`
		}{"posthornd.invites/1", all})
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, i := range all {
		fmt.Fprintf(table, "%s\t%s\tmade %s\tends %s\n", i.ID, i.State, i.Created.Format(time.RFC3339), i.Expires.Format(time.RFC3339))
	}
	return table.Flush()
}

func newInviteRevoke(a *app) *cobra.Command {
	data, asJSON := "", false
	cmd := &cobra.Command{
		Use:     "revoke ID",
		Short:   "Make an invite useless",
		Long:    "Make an invite useless, for good. One that was used cannot be taken back.",
		Example: "  posthornd invite revoke 1f2e3d4c5b6a7988 --data data",
		Args:    oneArgument("one ID of an invite"),
	}
	dataFlag(cmd, &data)
	jsonFlag(cmd, &asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if data == "" {
			return needsFolder(cmd)
		}
		if err := admin.Call(cmd.Context(), data, http.MethodDelete, "/invites/"+url.PathEscape(args[0]), nil, nil); err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(a.stdout).Encode(struct {
				Schema string             `json:"schema"`
				ID     string             `json:"id"`
				State  server.InviteState `json:"state"`
			}{"posthornd.invite/1", args[0], server.InviteRevoked})
		}
		_, err := fmt.Fprintln(a.stdout, "revoked")
		return err
	}
	return cmd
}

// oneArgument wants exactly one argument.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return usage(cmd, "'"+cmd.CommandPath()+"' needs "+what)
		}
		return nil
	}
}
