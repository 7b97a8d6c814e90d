//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// contestant is one server in one of the two tables.
type contestant struct {
	name   string
	online bool
	synced bool // whether it answers only when the message is safe on the disk
	server interface {
		round(context.Context, task) (result, error)
	}
	rates []float64
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 3, "`number` of rounds; the table has the medians")
	k := task{}
	flags.IntVar(&k.connections, "connections", 256, "`number` of senders")
	flags.IntVar(&k.calls, "calls", 64, "`number` of messages of each sender")
	flags.IntVar(&k.body, "body", 1024, "`bytes` of a message")
	part := flags.String("part", "all", "others, own, or all: beside other servers, or posthornd's own figures")
	only := flags.String("only", "", "of its own figures, those with this `text` in their name")
	if err := flags.Parse(args); err != nil {
		return err
	}
	programs, err := os.MkdirTemp("", "compare-programs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(programs)
	if err := build(ctx, programs); err != nil {
		return err
	}
	if *part != "own" {
		if err := others(ctx, stdout, stderr, programs, k, *rounds); err != nil {
			return err
		}
	}
	if *part != "others" {
		return own(ctx, stdout, programs, *only)
	}
	return nil
}

// others runs the rounds against the other servers and prints the table.
func others(ctx context.Context, stdout, stderr io.Writer, programs string, k task, rounds int) error {
	if missing := present(); len(missing) > 0 {
		return fmt.Errorf("this machine lacks %s: apt-get install ejabberd prosody mosquitto", strings.Join(missing, ", "))
	}
	all := []*contestant{
		{name: "posthornd, 1 envelope a request", synced: true, server: posthorn{programs: programs}},
		{name: "posthornd, 16 envelopes a request", synced: true, server: posthorn{programs: programs, envelopes: 16}},
		{name: "ejabberd", server: ejabberd},
		{name: "Prosody", server: prosody},
		{name: "posthornd, 1 envelope a request", online: true, synced: true, server: posthorn{programs: programs}},
		{name: "posthornd, 16 envelopes a request", online: true, synced: true, server: posthorn{programs: programs, envelopes: 16}},
		{name: "ejabberd", online: true, server: ejabberd},
		{name: "Mosquitto, QoS 1", online: true, server: mosquitto{}},
	}
	for n := range rounds {
		for _, c := range all {
			if err := c.take(ctx, k); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Fprintf(stderr, "round %d, %s, %s: %.0f a second\n", n+1, c.kind(), c.name, c.rates[n])
		}
	}
	table(stdout, k, all)
	return nil
}

func (c *contestant) kind() string {
	if c.online {
		return "delivered to 100"
	}
	return "stored"
}

// take runs one round. A server that loses messages has no rate.
func (c *contestant) take(ctx context.Context, k task) error {
	k.online, k.receivers = c.online, k.connections
	if c.online {
		k.receivers = 100
	}
	r, err := c.server.round(ctx, k)
	if err != nil {
		return err
	}
	if r.arrived < k.messages() {
		return fmt.Errorf("%d of %d messages arrived", r.arrived, k.messages())
	}
	c.rates = append(c.rates, r.perSecond)
	return nil
}

func (c *contestant) median() float64 {
	sorted := slices.Sorted(slices.Values(c.rates))
	return sorted[len(sorted)/2]
}

// table prints medians, and what posthornd's first row of each kind is to them.
func table(w io.Writer, k task, all []*contestant) {
	fmt.Fprintf(w, "%d connections, %d bytes, medians of %d rounds on %d cores; messages a second\n\n", k.connections, k.body, len(all[0].rates), runtime.NumCPU())
	fmt.Fprintln(w, "| | server | synced first | a second | of 1 envelope a request | of 16 |\n|---|---|---|---|---|---|")
	for _, c := range all {
		ratios := make([]string, 2)
		for n, ours := range ownRows(all, c.online) {
			if !c.synced {
				ratios[n] = fmt.Sprintf("%.1f×", ours.median()/c.median())
			}
		}
		synced := "no"
		if c.synced {
			synced = "yes"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %.0f | %s | %s |\n", c.kind(), c.name, synced, c.median(), ratios[0], ratios[1])
	}
}

// ownRows are posthornd's contestants of one kind: one envelope a request, and
// if there is such a row, sixteen.
func ownRows(all []*contestant, online bool) (rows []*contestant) {
	for _, c := range all {
		if c.synced && c.online == online {
			rows = append(rows, c)
		}
	}
	return rows
}
