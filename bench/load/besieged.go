package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"
)

// siege is how good clients fared alone and under attack, in windows that took
// turns in one run.
type siege struct {
	Windows  int               `json:"windows"` // of each kind
	Request  contrast          `json:"request_ms"`
	Delivery contrast          `json:"delivery_ms"`
	Late     contrast          `json:"late_ms"` // this program's own share of it
	Attacks  map[string]string `json:"attacks"`
	Server   cores             `json:"server_cores"`
	Own      cores             `json:"own_cores"` // this program's, with its attackers
}

// cores is how many processors something kept busy, in the mean.
type cores struct {
	Alone    float64 `json:"alone"`
	Attacked float64 `json:"attacked"`
}

// contrast is one measure, in milliseconds.
type contrast struct {
	Alone    *spread `json:"alone"`
	Attacked *spread `json:"attacked"`
	Ratio    float64 `json:"p99_ratio"`
}

// times are what good clients measured in windows of one kind.
type times struct {
	took, late, delays []time.Duration
	server, own, all   time.Duration // processor time of both programs, and how long it was
}

func coresOf(alone, attacked, aloneFor, attackedFor time.Duration) cores {
	return cores{Alone: alone.Seconds() / max(aloneFor.Seconds(), 0.001), Attacked: attacked.Seconds() / max(attackedFor.Seconds(), 0.001)}
}

func contrastOf(alone, attacked []time.Duration) contrast {
	c := contrast{Alone: spreadOf(alone), Attacked: spreadOf(attacked)}
	if c.Alone != nil && c.Attacked != nil {
		c.Ratio = c.Attacked.P99 / max(c.Alone.P99, 0.001)
	}
	return c
}

// besieged lets good clients chat at a steady rate, in every other window with
// attackers around.
func besieged(ctx context.Context, p *plan, r *report) (*ledger, error) {
	if p.calls < 2*p.windows || p.windows < 1 {
		return nil, errors.New("the besieged scenario needs a call of each connection in every window")
	}
	l := newLedger(p.crashes)
	mailboxes, senders, err := p.cast(ctx, l)
	if err != nil {
		return nil, err
	}
	enemy, err := p.besiege(ctx, mailboxes[0])
	if err != nil {
		return nil, err
	}
	ready, stop := receivers(ctx, l, mailboxes, false)
	<-ready
	server, own, measured := p.watch(), stopwatch(os.Getpid()), [2]times{}
	var all []*sender
	var took time.Duration
	for n := range 2 * p.windows {
		part := window(senders, n, 2*p.windows)
		elapsed, err := p.spend(ctx, l, part, enemy, n%2 == 1, &measured[n%2])
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		all, took = append(all, part...), took+elapsed
	}
	r.finish(l, all, took, server(), own())
	r.Siege = siegeOf(measured[0], measured[1])
	r.Siege.Windows, r.Siege.Attacks = p.windows, enemy.tally()
	return l, stop()
}

func siegeOf(alone, attacked times) *siege {
	return &siege{
		Request: contrastOf(alone.took, attacked.took), Delivery: contrastOf(alone.delays, attacked.delays), Late: contrastOf(alone.late, attacked.late),
		Server: coresOf(alone.server, attacked.server, alone.all, attacked.all), Own: coresOf(alone.own, attacked.own, alone.all, attacked.all),
	}
}

// window is the n-th share of what every sender has to post.
func window(senders []*sender, n, of int) []*sender {
	part := make([]*sender, len(senders))
	for i, s := range senders {
		part[i] = &sender{device: s.device, posts: s.posts[n*len(s.posts)/of : (n+1)*len(s.posts)/of]}
	}
	return part
}

// spend runs one window to the arrival of its last envelope.
func (p *plan) spend(ctx context.Context, l *ledger, part []*sender, enemy *attackers, attacked bool, t *times) (time.Duration, error) {
	if attacked {
		stop, err := enemy.begin(ctx)
		defer stop()
		if err != nil {
			return 0, err
		}
	}
	server, own := p.watch(), stopwatch(os.Getpid())
	took, err := openLoop(ctx, l, part, p.perSecond)
	took += drained(ctx, l, p.drain)
	t.add(part)
	t.server, t.own, t.all = t.server+server(), t.own+own(), t.all+took
	return took, err
}

// add enters what a window's senders and their mailboxes measured.
func (t *times) add(part []*sender) {
	for _, s := range part {
		t.took, t.late = append(t.took, s.took...), append(t.late, s.late...)
		for _, post := range s.posts {
			for _, e := range post.entries {
				if sent, arrived := e.sent.Load(), e.arrived.Load(); sent != 0 && arrived != 0 {
					t.delays = append(t.delays, time.Duration(arrived-sent))
				}
			}
		}
	}
}

func (s *siege) print(w io.Writer) {
	for _, row := range []struct {
		name string
		contrast
	}{{"late", s.Late}, {"request", s.Request}, {"delivery", s.Delivery}} {
		if row.Alone != nil && row.Attacked != nil {
			fmt.Fprintf(w, "  %-8s alone p50 %.1f, p99 %.1f ms; attacked p50 %.1f, p99 %.1f ms: p99 %.2f times\n",
				row.name, row.Alone.P50, row.Alone.P99, row.Attacked.P50, row.Attacked.P99, row.Ratio)
		}
	}
	fmt.Fprintf(w, "  busy cores: server %.2f alone, %.2f attacked; this program %.2f and %.2f\n", s.Server.Alone, s.Server.Attacked, s.Own.Alone, s.Own.Attacked)
	for _, kind := range slices.Sorted(maps.Keys(s.Attacks)) {
		fmt.Fprintf(w, "  %s: %s\n", kind, s.Attacks[kind])
	}
}
