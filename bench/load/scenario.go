package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/posthorn/posthorn/bench/procfs"
)

// plan is what the command line asks for.
type plan struct {
	office      *office
	connections int
	mailboxes   int
	envelopes   int
	calls       int // each connection's
	ahead       int // requests of a connection that are under way at a time
	size        func() int
	perSecond   float64
	windows     int           // of each kind, where they take turns
	crowd       int           // of attackers, of each kind
	attack      string        // only attacks with this in their name
	crashes     bool          // servers are killed meanwhile
	server      int           // process id, or 0
	drain       time.Duration // how long to wait for what was accepted and has not arrived
	calm        time.Duration // how long memory must not have fallen to be measured
}

// scenarios by the name that picks them.
var scenarios = map[string]struct {
	about string
	run   func(context.Context, *plan, *report) (*ledger, error)
}{
	"stored":   {"every recipient is away: how many envelopes become durable a second", stored},
	"online":   {"every recipient is connected: how many envelopes arrive a second", online},
	"offered":  {"a steady rate to connected recipients: how long an envelope takes", offered},
	"mixed":    {"a steady rate of chat to recipients that come and go", mixed},
	"catchup":  {"one device comes back to a full mailbox: how long until it has all", catchup},
	"besieged": {"a steady rate to connected recipients, alone and while others attack the server, in turns", besieged},
	"idle":     {"open streams with nothing on them: what one costs the server", idle},
}

// cast enrols mailboxes and senders, and seals what they will post: sender i
// writes to mailbox i and those after it.
func (p *plan) cast(ctx context.Context, l *ledger) ([]*mailbox, []*sender, error) {
	mailboxes, err := p.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	devices, err := p.office.enrol(ctx, "s", p.connections)
	if err != nil {
		return nil, nil, err
	}
	senders := make([]*sender, len(devices))
	for i, d := range devices {
		to := make([]*mailbox, min(p.envelopes, len(mailboxes)))
		for n := range to {
			to[n] = mailboxes[(i+n)%len(mailboxes)]
		}
		if senders[i], err = prepare(l, i, d, to, p.calls, p.size); err != nil {
			return nil, nil, err
		}
		if err := d.ready(ctx); err != nil {
			return nil, nil, err
		}
	}
	return mailboxes, senders, nil
}

func (p *plan) open(ctx context.Context) ([]*mailbox, error) {
	devices, err := p.office.enrol(ctx, "r", p.mailboxes)
	if err != nil {
		return nil, err
	}
	mailboxes := make([]*mailbox, len(devices))
	for i, d := range devices {
		mailboxes[i] = newMailbox(d)
	}
	return mailboxes, nil
}

// stored posts while everybody is away, then lets them all come and compares.
func stored(ctx context.Context, p *plan, r *report) (*ledger, error) {
	l, mailboxes, err := p.filled(ctx, r)
	if err != nil {
		return nil, err
	}
	_, stop := receivers(ctx, l, mailboxes, false)
	drained(ctx, l, p.drain)
	return l, stop()
}

// filled posts everything while everybody is away.
func (p *plan) filled(ctx context.Context, r *report) (*ledger, []*mailbox, error) {
	l := newLedger(p.crashes)
	mailboxes, senders, err := p.cast(ctx, l)
	if err != nil {
		return nil, nil, err
	}
	server, own := p.watch(), stopwatch(os.Getpid())
	took, err := closedLoop(ctx, l, senders, p.ahead)
	if err != nil {
		return nil, nil, err
	}
	r.finish(l, senders, took, server(), own())
	return l, mailboxes, nil
}

// watch starts counting the server's processor time, if its process is known.
func (p *plan) watch() (used func() time.Duration) { return stopwatch(p.server) }

// stopwatch starts counting the processor time of a process.
func stopwatch(pid int) (used func() time.Duration) {
	before, _ := procfs.CPU(pid)
	return func() time.Duration {
		after, _ := procfs.CPU(pid)
		return after - before
	}
}

func online(ctx context.Context, p *plan, r *report) (*ledger, error) {
	return p.live(ctx, r, false, func(l *ledger, senders []*sender) (time.Duration, error) {
		return closedLoop(ctx, l, senders, p.ahead)
	})
}

func offered(ctx context.Context, p *plan, r *report) (*ledger, error) {
	return p.live(ctx, r, false, func(l *ledger, senders []*sender) (time.Duration, error) {
		return openLoop(ctx, l, senders, p.perSecond)
	})
}

func mixed(ctx context.Context, p *plan, r *report) (*ledger, error) {
	p.size = chatSizes
	return p.live(ctx, r, true, func(l *ledger, senders []*sender) (time.Duration, error) {
		return openLoop(ctx, l, senders, p.perSecond)
	})
}

// live posts while everybody is connected. The run ends when the last accepted
// envelope has arrived.
func (p *plan) live(ctx context.Context, r *report, restless bool, post func(*ledger, []*sender) (time.Duration, error)) (*ledger, error) {
	l := newLedger(p.crashes)
	mailboxes, senders, err := p.cast(ctx, l)
	if err != nil {
		return nil, err
	}
	ready, stop := receivers(ctx, l, mailboxes, restless)
	<-ready
	server, own := p.watch(), stopwatch(os.Getpid())
	took, err := post(l, senders)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	took += drained(ctx, l, p.drain)
	r.finish(l, senders, took, server(), own())
	r.Delivery = spreadOf(l.delays())
	return l, stop()
}

// finish enters what the senders measured.
func (r *report) finish(l *ledger, senders []*sender, took, server, own time.Duration) {
	var all, late []time.Duration
	for _, s := range senders {
		all, late = append(all, s.took...), append(late, s.late...)
	}
	r.Request, r.Late, r.Seconds = spreadOf(all), spreadOf(late), took.Seconds()
	r.PerSecond = float64(l.acceptedCount()) / took.Seconds()
	r.ServerCPU = server.Seconds() * 1e6 / float64(max(1, l.acceptedCount()))
	r.OwnCPU = own.Seconds() * 1e6 / float64(max(1, l.acceptedCount()))
}

// catchup fills one mailbox, then reads it whole a few times without an ack,
// and at last as a device does.
func catchup(ctx context.Context, p *plan, r *report) (*ledger, error) {
	const rounds = 7
	p.mailboxes, p.envelopes = 1, 1
	l, mailboxes, err := p.filled(ctx, r)
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for range rounds {
		elapsed, err := readAll(ctx, mailboxes[0], len(l.entries))
		if err != nil {
			return nil, err
		}
		times = append(times, elapsed)
	}
	r.CatchUp = spreadOf(times)
	_, stop := receivers(ctx, l, mailboxes, false)
	drained(ctx, l, p.drain)
	return l, stop()
}

// readAll opens a stream and reads until n envelopes have come.
func readAll(ctx context.Context, m *mailbox, n int) (time.Duration, error) {
	begun := time.Now()
	stream, err := m.device.client.Receive(ctx)
	if err != nil {
		return 0, err
	}
	defer stream.Close()
	for got := 0; got < n; {
		batch, err := stream.Next()
		if err != nil {
			return 0, fmt.Errorf("after %d of %d envelopes: %w", got, n, err)
		}
		got += len(batch.Deliveries)
	}
	return time.Since(begun), nil
}

// idle opens a stream for every mailbox and compares the server's memory with
// what it was when they were all registered.
func idle(ctx context.Context, p *plan, r *report) (*ledger, error) {
	if p.server == 0 {
		return nil, errors.New("the idle scenario needs the server's process: --pid")
	}
	l := newLedger(p.crashes)
	mailboxes, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	before, err := procfs.CalmResident(ctx, p.server, p.calm)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	ready, stop := receivers(ctx, l, mailboxes, false)
	<-ready
	r.Seconds = time.Since(begun).Seconds()
	after, err := procfs.CalmResident(ctx, p.server, p.calm)
	r.StreamBytes = float64(after-before) / float64(len(mailboxes))
	return l, errors.Join(err, stop())
}
