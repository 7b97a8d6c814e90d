package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout bounds one health check.
const healthTimeout = 5 * time.Second

func newHealth(a *app) *cobra.Command {
	address := defaultAddress
	cmd := &cobra.Command{
		Use:     "health",
		Short:   "Ask a running server whether it is ready",
		Long:    "Ask a running server whether it is ready. The exit code is 0 when it is, and 3 when it is not or does not answer.",
		Example: "  posthornd health\n  posthornd health --addr 127.0.0.1:7480",
		Args:    noArguments,
	}
	cmd.Flags().StringVar(&address, "addr", address, "`host:port` of the server")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := ask(cmd.Context(), address); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.stdout, "ready")
		return err
	}
	return cmd
}

// ask makes one health check.
func ask(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil || request.URL.Host != address {
		return &failure{exitUsage, "the address cannot be used", "write it as HOST:PORT"}
	}
	network := &http.Transport{DisableKeepAlives: true} // no proxy: the server is asked itself
	answer, err := network.RoundTrip(request)
	if err != nil {
		return &failure{exitServer, "the server does not answer: " + err.Error(), "start it with 'posthornd serve', or name another address with --addr"}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return &failure{exitServer, fmt.Sprintf("the server is not ready (HTTP %d)", answer.StatusCode), "its log says why"}
	}
	return nil
}
