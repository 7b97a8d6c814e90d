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
	ahead  int  // messages of a sender that are under way; 0: one
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
	all := contestants(programs)
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

// ahead is how many messages each sender has under way in the second half of
// the rows, whatever the server.
const ahead = 16

// contestants are all rows: what one server does, in one manner.
func contestants(programs string) (all []*contestant) {
	one, many, calls := posthorn{programs: programs}, posthorn{programs: programs, envelopes: 16}, posthorn{programs: programs, unary: true}
	for _, online := range []bool{false, true} {
		all = append(all,
			&contestant{name: "posthornd, 1 envelope a request", synced: true, server: one},
			&contestant{name: "posthornd, 16 envelopes a request", synced: true, server: many},
			&contestant{name: "posthornd, 1 envelope a request, each a call", synced: true, server: calls},
			&contestant{name: "ejabberd", server: ejabberd})
		if online {
			all = append(all, &contestant{name: "Mosquitto, QoS 1", server: mosquitto{}})
		} else {
			all = append(all, &contestant{name: "Prosody", server: prosody})
		}
		for _, c := range all[len(all)-5:] {
			c.online = online
		}
	}
	for _, c := range all {
		if p, ours := c.server.(posthorn); !ours || !p.unary && p.envelopes == 0 {
			further := *c
			further.ahead = ahead
			all = append(all, &further)
		}
	}
	return all
}

func (c *contestant) kind() string {
	kind := "stored"
	if c.online {
		kind = "delivered to 100"
	}
	if c.ahead > 1 {
		kind += fmt.Sprintf(", %d under way", c.ahead)
	}
	return kind
}

// take runs one round. A server that loses messages has no rate.
func (c *contestant) take(ctx context.Context, k task) error {
	k.online, k.receivers, k.ahead = c.online, k.connections, max(1, c.ahead)
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
		for n, ours := range ownRows(all, c) {
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

// ownRows are posthornd's contestants of the kind of another: one envelope a
// request, and if there is such a row, sixteen.
func ownRows(all []*contestant, of *contestant) (rows []*contestant) {
	for _, c := range all {
		if p, ok := c.server.(posthorn); ok && !p.unary && c.kind() == of.kind() {
			rows = append(rows, c)
		}
	}
	return rows
}
