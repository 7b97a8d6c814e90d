package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/server/admin"
)

func newStatus(a *app) *cobra.Command {
	return asking(&cobra.Command{
		Use:   "status",
		Short: "Show how much a running server keeps",
		Long: `Ask the server that runs on a data folder what it keeps, over the socket
in that folder. The exit code is 3 when no server runs on it.`,
		Example: "  posthornd status --data /var/lib/posthorn\n  posthornd status --data data --json",
		Args:    noArguments,
	}, a.status)
}

func (a *app) status(ctx context.Context, q question, _ []string) error {
	var s admin.Status
	if err := admin.Call(ctx, q.data, http.MethodGet, "/status", nil, &s); err != nil {
		return err
	}
	if q.asJSON {
		return a.printObject("posthornd.status/1", s)
	}
	oldest := "nothing waits"
	if s.Oldest != nil {
		oldest = "the oldest since " + s.Oldest.UTC().Format(time.RFC3339)
	}
	_, err := fmt.Fprintf(a.stdout, "posthornd %s on %s: %d devices, %d mailboxes, %d envelopes; %s\n",
		s.Version, s.Store, s.Devices, s.Mailboxes, s.Queued, oldest)
	return err
}
