//go:build unix

package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
)

// posthorn is posthornd with its embedded store, driven by bench/load, which
// also checks that every accepted envelope arrives unchanged.
type posthorn struct {
	programs  string // the folder of posthornd and load
	envelopes int    // in one request, to as many mailboxes
	unary     bool   // each request is a call of its own, instead of one stream for all
}

// build makes both programs.
func build(ctx context.Context, folder string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", folder, "github.com/posthorn/posthorn/cmd/posthornd", "github.com/posthorn/posthorn/bench/load")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// unlimited are options without which a load from one address is refused.
var unlimited = []string{
	"--open-registration", "--log-level", "error", "--rate-logins", "1000000:1000000", "--rate-registrations", "1000000:1000000",
	"--rate-sends", "1000000:1000000", "--rate-bytes", "1GiB:1GiB", "--max-connections", "100000", "--max-connections-per-address", "100000",
}

func (p posthorn) round(ctx context.Context, k task) (r result, err error) {
	scenario := "stored"
	if k.online {
		scenario = "online"
	}
	envelopes := max(1, p.envelopes)
	err = withHost(ctx, p.programs, func(h *hosted) error {
		more := []string{"--ahead", strconv.Itoa(k.ahead)}
		if p.unary {
			more = []string{"--unary"}
		}
		report, err := h.load(ctx, append(more, "--scenario", scenario, "--connections", strconv.Itoa(k.connections), "--mailboxes", strconv.Itoa(k.receivers),
			"--calls", strconv.Itoa(k.calls), "--size", strconv.Itoa(k.body), "--envelopes", strconv.Itoa(envelopes))...)
		r = result{perSecond: report.PerSecond, arrived: (report.Accepted - report.Lost) / envelopes}
		return err
	})
	return r, err
}
