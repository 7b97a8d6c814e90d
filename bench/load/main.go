package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/bench/procfs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// errFailed says that the server lost or garbled something.
var errFailed = errors.New("the server did not keep what it had accepted")

// maxTime bounds a run, so that a forgotten one ends by itself.
const maxTime = 2 * time.Hour

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(stderr)
	p := &plan{office: &office{}, drain: time.Minute, calm: 30 * time.Second}
	size := flags.Int("size", 1024, "`bytes` of a payload; 0: as people chat")
	flags.StringVar(&p.office.url, "server", "http://127.0.0.1:7480", "`URL` of the server under test")
	flags.BoolVar(&p.office.h2c, "h2c", false, "delivery streams over HTTP/2 without TLS")
	flags.BoolVar(&p.office.unary, "unary", false, "each request is a call of its own, instead of one stream for all")
	name := flags.String("scenario", "stored", "`name` of what to do, see below")
	flags.IntVar(&p.connections, "connections", 256, "`number` of sending devices, each with a connection")
	flags.IntVar(&p.mailboxes, "mailboxes", 256, "`number` of receiving devices")
	flags.IntVar(&p.envelopes, "envelopes", 1, "`number` of envelopes in one request, to as many mailboxes")
	flags.IntVar(&p.calls, "calls", 64, "`number` of requests that each connection makes")
	flags.IntVar(&p.ahead, "ahead", 1, "`number` of requests that a connection has under way, on its stream")
	flags.Float64Var(&p.perSecond, "rate", 1000, "requests a second, where the scenario has a steady `rate`")
	flags.IntVar(&p.windows, "windows", 5, "`number` of times that besieged changes between peace and attack")
	flags.IntVar(&p.crowd, "crowd", 200, "`number` of attackers of each kind in besieged")
	flags.StringVar(&p.attack, "attack", "", "in besieged, only the attacks with this `text` in their name")
	flags.IntVar(&p.server, "pid", 0, "`process` of the server, for its memory")
	flags.BoolVar(&p.crashes, "crashes", false, "servers are killed meanwhile: deliveries may come again")
	asJSON := flags.Bool("json", false, "one JSON object on standard output")
	flags.Usage = func() { usage(flags) }
	if err := flags.Parse(args); err != nil {
		return err
	}
	scenario, ok := scenarios[*name]
	if err := p.check(flags, ok); err != nil {
		return err
	}
	p.size = chatSizes
	if *size > 0 {
		p.size = sized(*size)
	}
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	r := &report{Scenario: *name, Connections: p.connections}
	l, err := scenario.run(ctx, p, r)
	if err != nil {
		return err
	}
	r.Mailboxes, r.Envelopes = p.mailboxes, p.envelopes
	r.settle(l)
	if p.server != 0 {
		r.ServerRSS, _ = procfs.Resident(p.server)
	}
	if err := r.print(stdout, *asJSON); err != nil {
		return err
	}
	if !r.passed() {
		return errFailed
	}
	return nil
}

// check refuses what cannot be run before anything is registered anywhere.
func (p *plan) check(flags *flag.FlagSet, known bool) (err error) {
	p.office.address, err = url.Parse(p.office.url)
	switch {
	case err != nil || p.office.address.Host == "":
		return errors.New("--server is not a URL")
	case !known:
		return errors.New("no such scenario; --help lists them")
	case flags != nil && flags.NArg() > 0:
		return errors.New("there are no arguments, only options")
	case p.ahead > 1 && p.office.unary:
		return errors.New("--ahead needs the stream; without it a connection has one request under way")
	case p.connections < 1 || p.ahead < 0 || p.ahead > api.SendWindow || p.mailboxes < 1 || p.calls < 1 || p.envelopes < 1 || p.envelopes > 64 || p.perSecond <= 0:
		return errors.New("numbers must be positive, and envelopes at most 64")
	}
	return nil
}

func usage(flags *flag.FlagSet) {
	w := flags.Output()
	fmt.Fprintln(w, "usage: load --server URL --scenario NAME [options]\n\nScenarios:")
	for _, name := range slices.Sorted(maps.Keys(scenarios)) {
		fmt.Fprintf(w, "  %-8s %s\n", name, scenarios[name].about)
	}
	fmt.Fprintln(w, "\nOptions:")
	flags.PrintDefaults()
}
