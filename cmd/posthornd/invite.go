package main

import (
	"context"
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
	order := admin.InviteOrder{}
	cmd := asking(&cobra.Command{
		Use:   "create",
		Short: "Make an invite and show its link, this once",
		Long: `Make an invite and show its link. The link names the server by --address, or else
by the --public-address that it was started with, or else by the address it
listens on. A self-signed certificate's hash is in it.`,
		Example: "  posthornd invite create --data data\n  posthornd invite create --data data --expires 24h --address https://chat.example --json",
		Args:    noArguments,
	}, func(ctx context.Context, q question, _ []string) error { return a.createInvite(ctx, q, order) })
	cmd.Flags().DurationVar(&order.Life, "expires", inviteLife, "how long it works: a `time` such as 24h, at most a year")
	cmd.Flags().StringVar(&order.Address, "address", "", "`URL` by which people reach the server")
	return cmd
}

func (a *app) createInvite(ctx context.Context, q question, order admin.InviteOrder) error {
	var made admin.NewInvite
	if err := admin.Call(ctx, q.data, http.MethodPost, "/invites", order, &made); err != nil {
		return err
	}
	if q.asJSON {
		return a.printObject("posthornd.invite/1", made)
	}
	fmt.Fprintf(a.stderr, "posthornd: note: invite %s works once, until %s\n", made.ID, made.Expires.Format(time.RFC3339))
	_, err := fmt.Fprintln(a.stdout, made.URL)
	return err
}

func newInviteList(a *app) *cobra.Command {
	return asking(&cobra.Command{
		Use:     "list",
		Short:   "List invites and what became of them",
		Long:    "List all invites that were made, with their state: open, used, revoked or expired. The links cannot be shown again.",
		Example: "  posthornd invite list --data data\n  posthornd invite list --data data --json",
		Args:    noArguments,
	}, a.listInvites)
}

func (a *app) listInvites(ctx context.Context, q question, _ []string) error {
	all := []admin.Invite{}
	if err := admin.Call(ctx, q.data, http.MethodGet, "/invites", nil, &all); err != nil {
		return err
	}
	if q.asJSON {
		return a.printObject("posthornd.invites/1", struct {
			Invites []admin.Invite `json:"invites"`
		}{all})
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, i := range all {
		fmt.Fprintf(table, "%s\t%s\tmade %s\tends %s\n", i.ID, i.State, i.Created.Format(time.RFC3339), i.Expires.Format(time.RFC3339))
	}
	return table.Flush()
}

func newInviteRevoke(a *app) *cobra.Command {
	return asking(&cobra.Command{
		Use:     "revoke ID",
		Short:   "Make an invite useless",
		Long:    "Make an invite useless, for good. One that was used cannot be taken back.",
		Example: "  posthornd invite revoke 1f2e3d4c5b6a7988 --data data",
		Args:    oneArgument("one ID of an invite"),
	}, func(ctx context.Context, q question, args []string) error {
		if err := admin.Call(ctx, q.data, http.MethodDelete, "/invites/"+url.PathEscape(args[0]), nil, nil); err != nil {
			return err
		}
		if q.asJSON {
			return a.printObject("posthornd.invite/1", struct {
				ID    string             `json:"id"`
				State server.InviteState `json:"state"`
			}{args[0], server.InviteRevoked})
		}
		_, err := fmt.Fprintln(a.stdout, "revoked")
		return err
	})
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
