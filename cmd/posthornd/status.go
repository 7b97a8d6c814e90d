package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/server/admin"
)

func newStatus(a *app) *cobra.Command {
	data, asJSON := "", false
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how much a running server keeps",
		Long: `Ask the server that runs on a data folder what it keeps, over the socket
in that folder. The exit code is 3 when no server runs on it.`,
		Example: "  posthornd status --data /var/lib/posthorn\n  posthornd status --data data --json",
		Args:    noArguments,
	}
	dataFlag(cmd, &data)
	jsonFlag(cmd, &asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if data == "" {
			return needsFolder(cmd)
		}
		return a.status(cmd.Context(), data, asJSON)
	}
	return cmd
}

func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", "", "`folder` with everything the server keeps")
}

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print one JSON object")
}

func needsFolder(cmd *cobra.Command) *failure {
	return usage(cmd, cmd.Name()+" needs a folder: --data DIR")
}

func (a *app) status(ctx context.Context, data string, asJSON bool) error {
	var s admin.Status
	if err := admin.Call(ctx, data, http.MethodGet, "/status", nil, &s); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(struct {
			Schema string `json:"schema"`
			admin.Status
		}{"posthornd.status/1", s})
	}
	oldest := "nothing waits"
	if s.Oldest != nil {
		oldest = "the oldest since " + s.Oldest.UTC().Format(time.RFC3339)
	}
	_, err := fmt.Fprintf(a.stdout, "posthornd %s on %s: %d devices, %d mailboxes, %d envelopes; %s\n",
		s.Version, s.Store, s.Devices, s.Mailboxes, s.Queued, oldest)
	return err
}
