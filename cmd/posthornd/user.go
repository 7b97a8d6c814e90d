package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/server/admin"
)

func newUser(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "user",
		Short:   "List, disable or delete accounts of a running server",
		Long:    "List the accounts of a running server, and shut them out, for a while or for good.",
		Example: "  posthornd user list --data /var/lib/posthorn\n  posthornd user disable mallory --data data",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newUserList(a),
		newUserChange(a, "disable", "disabled", http.MethodPost, "Shut an account out until it is enabled", `Shut an account out: its tokens are void at once, its open streams end, and it gets
no new token. Its name, its keys and its mailboxes stay; others still find it
and can write to it, and get "mailbox full" when its mailbox is. Enabling it
loses nothing but what ran out of time meanwhile.`),
		newUserChange(a, "enable", "enabled", http.MethodPost, "Let a disabled account in again", "Let a disabled account in again. Its devices log in by themselves."),
		newUserChange(a, "delete", "deleted", http.MethodDelete, "Delete an account and what waits for it", `Delete an account for good: its devices are shut out, its mailboxes are dropped with
all that waits in them, its keys are removed from the directory. Nobody can take
its name again, not even the same person: those who know the account by its
name would write to somebody else. If the command is interrupted, run it again.
There is no way back but a restored backup.`))
	return cmd
}

func newUserList(a *app) *cobra.Command {
	return asking(&cobra.Command{
		Use:     "list",
		Short:   "List accounts",
		Long:    "List accounts with their devices, how many envelopes wait for them, and whether they are disabled.",
		Example: "  posthornd user list --data data\n  posthornd user list --data data --json",
		Args:    noArguments,
	}, func(ctx context.Context, q question, _ []string) error {
		all, err := allUsers(ctx, q.data)
		if err != nil {
			return err
		}
		if q.asJSON {
			return a.printObject("posthornd.users/1", struct {
				Users []admin.User `json:"users"`
			}{all})
		}
		return a.printUsers(all)
	})
}

// allUsers asks for page after page.
func allUsers(ctx context.Context, data string) ([]admin.User, error) {
	all := []admin.User{}
	for after := ""; ; {
		var page admin.Users
		if err := admin.Call(ctx, data, http.MethodGet, "/users?after="+url.QueryEscape(after), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Users...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

func (a *app) printUsers(all []admin.User) error {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, u := range all {
		state := ""
		if u.Disabled {
			state = "disabled"
		}
		fmt.Fprintf(table, "%s\t%.16s\tdevices: %d\twaiting: %d\t%s\n", u.Name, u.AccountID, u.Devices, u.Queued, state)
	}
	return table.Flush()
}

// newUserChange is a command that does one thing to one account.
func newUserChange(a *app, verb, done, method, short, long string) *cobra.Command {
	return asking(&cobra.Command{
		Use:     verb + " NAME",
		Short:   short,
		Long:    long,
		Example: "  posthornd user " + verb + " mallory --data data",
		Args:    oneArgument("one NAME"),
	}, func(ctx context.Context, q question, args []string) error {
		path := "/users/" + url.PathEscape(args[0])
		if method == http.MethodPost {
			path += "/" + verb
		}
		if err := admin.Call(ctx, q.data, method, path, nil, nil); err != nil {
			return err
		}
		if q.asJSON {
			return a.printObject("posthornd.user/1", struct {
				Name  string `json:"name"`
				State string `json:"state"`
			}{args[0], done})
		}
		_, err := fmt.Fprintln(a.stdout, done)
		return err
	})
}
