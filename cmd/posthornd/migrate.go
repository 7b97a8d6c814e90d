package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/server/admin"
	"github.com/posthorn/posthorn/server/store"
)

func newMigrate(a *app) *cobra.Command {
	to := ""
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Move a running server from its data folder into a database",
		Long: `Move everything that a running server keeps in its embedded store into an empty
PostgreSQL database. While it is copied and compared, clients can read and are
told to send a moment later; then the server goes on from the database without
a restart. From then on it must be started with --store and that database.

When the move does not come to its end, for whatever reason, the embedded store
stays in use, and the move can be made again into the same database.

The variable POSTHORN_TO keeps a password in the URL out of the list of processes.`,
		Example: "  POSTHORN_TO=postgres://posthorn:PASSWORD@db/posthorn posthornd migrate --data /var/lib/posthorn",
		Args:    noArguments,
	}
	cmd.Flags().StringVar(&to, "to", "", "`URL` of an empty database: postgres://USER@HOST/DATABASE")
	return asking(cmd, func(ctx context.Context, q question, _ []string) error {
		if to == "" {
			return usage(cmd, "migrate needs a database: --to URL, or the variable POSTHORN_TO")
		}
		return a.migrate(ctx, q, to)
	})
}

// moveRequest asks a running server to move.
type moveRequest struct {
	To string `json:"to"`
}

func (a *app) migrate(ctx context.Context, q question, to string) error {
	var sum store.Sum
	if err := admin.Call(ctx, q.data, http.MethodPost, "/migrate", moveRequest{to}, &sum); err != nil {
		return err
	}
	if q.asJSON {
		return a.printObject("posthornd.migrate/1", sum)
	}
	_, err := fmt.Fprintf(a.stdout, `moved and compared: %d mailboxes with %d envelopes, %d dropped ones, %d directory values, %d values in pools
The server goes on from the database. From now on start it with --store and this
database, best in the variable POSTHORN_STORE. The folder %s in the data folder
is not used any more; keep it until there is a backup of the database.
`, sum.Mailboxes, sum.Envelopes, sum.Dropped, sum.Values, sum.Pooled, storeFolder)
	return err
}
