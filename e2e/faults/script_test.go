//go:build linux && amd64

package faults

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/posthorn/posthorn/client/transport"
)

// run is one server with its people and the ledger between them.
type run struct {
	t      testing.TB
	server *daemon
	ledger *ledger
	people []*device
}

// newPeople makes the devices of a run, each with bundles to publish.
func newPeople(t testing.TB) []*device {
	return []*device{newDevice(t, "alice", 4), newDevice(t, "bob", 4), newDevice(t, "carol", 4)}
}

// generous limits let one machine do the work of many.
var generous = []string{"--rate-logins", "100000:100000", "--rate-sends", "100000:100000", "--rate-bytes", "1GiB:1GiB"}

func newRun(t testing.TB, data string, people []*device) *run {
	r := &run{t: t, server: newDaemon(t, data), ledger: newLedger(), people: people}
	r.server.options = slices.Clone(generous)
	for _, d := range people {
		d.connect(t, r.server.url())
	}
	t.Cleanup(func() {
		for _, d := range people {
			d.line.Close()
		}
	})
	return r
}

// inOrder takes steps until one fails.
func inOrder(steps ...func() error) error {
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// script is the scripted run: three lives of a server. The first ends when it
// is asked to, the second by a kill, the third when it is asked to.
func (r *run) script() error {
	alice, bob, carol := r.people[0], r.people[1], r.people[2]
	return inOrder(
		r.server.start,
		func() error { return r.register(alice, bob, carol) },
		func() error { return r.send(alice, bob, 3, 1000) },
		func() error { return r.send(alice, carol, 16, 4000) },
		func() error { return r.send(bob, alice, 1, 100_000) },
		func() error { return r.empty(bob) },
		func() error { return r.publish(alice, 1) },
		func() error { return r.look(bob, alice) },
		r.end,

		r.server.start,
		func() error { return r.empty(alice) },
		func() error { return r.live(bob, carol) },
		func() error { return r.send(carol, bob, 2, 2000) },
		func() error { return r.publish(bob, 1) },
		r.settled,
		r.crash,

		r.server.start,
		func() error { return r.send(carol, alice, 8, 1000) },
		func() error { return r.empty(carol) },
		func() error { return r.publish(alice, 2) },
		func() error { return r.look(carol, bob) },
		r.end,
	)
}

// settled waits until the server has applied the acks that it confirmed: until
// nothing waits that somebody acknowledged.
func (r *run) settled() error {
	want := r.ledger.waiting()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		queued, err := r.server.queued()
		if err != nil || queued == want {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d envelopes wait, want %d", queued, want)
		}
	}
}

func (r *run) end() error {
	if code := r.server.stop(); code != 0 {
		return fmt.Errorf("the server ended with code %d: %s", code, r.server.logs)
	}
	return nil
}

// crash kills a server that was well until then.
func (r *run) crash() error {
	if code := r.server.health(); code != 200 {
		return fmt.Errorf("health %d before the crash", code)
	}
	r.server.kill()
	r.ledger.crashed()
	return nil
}

func (r *run) register(people ...*device) error {
	ctx, cancel := bounded()
	defer cancel()
	for _, d := range people {
		r.ledger.publishing(d, 0)
		if err := d.line.Register(ctx, d.name, d.Statement, d.Bundles[0]); err != nil {
			return err
		}
		r.ledger.confirmed(d, 0)
	}
	return nil
}

func (r *run) send(from, to *device, count, size int) error {
	envelopes := make([]transport.Envelope, count)
	for i := range envelopes {
		envelopes[i] = to.envelope(size)
	}
	return r.sendThese(from, to, envelopes)
}

var errNotAccepted = errors.New("not every envelope was accepted")

func (r *run) sendThese(from, to *device, envelopes []transport.Envelope) error {
	if len(envelopes) == 0 {
		return nil
	}
	ctx, cancel := bounded()
	defer cancel()
	r.ledger.sending(to, envelopes)
	outcomes, err := from.line.Send(ctx, envelopes)
	if err != nil {
		return err
	}
	if !r.ledger.sent(envelopes, outcomes) {
		return errNotAccepted
	}
	return nil
}

// empty fetches everything and acknowledges it.
func (r *run) empty(d *device) error {
	got, err := d.fetch()
	newest := r.ledger.took(d, got)
	if err != nil || newest == 0 {
		return err
	}
	return r.ack(d, newest)
}

func (r *run) ack(d *device, seq uint64) error {
	ctx, cancel := bounded()
	defer cancel()
	if err := d.line.Ack(ctx, seq, 0); err != nil {
		return err
	}
	r.ledger.acked(d, seq)
	return nil
}

// live sends while the recipient listens, who acks what it gets.
func (r *run) live(from, to *device) error {
	ctx, cancel := bounded()
	defer cancel()
	stream, err := to.line.Receive(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	for sent := false; ; {
		batch, err := stream.Next()
		if err != nil {
			return err
		}
		newest := r.ledger.took(to, batch.Deliveries)
		if newest > 0 {
			if err := r.ack(to, newest); err != nil {
				return err
			}
		}
		if sent && newest > 0 {
			return nil
		}
		if batch.CaughtUp {
			if err := r.send(from, to, 2, 500); err != nil {
				return err
			}
			sent = true
		}
	}
}

func (r *run) publish(d *device, n int) error {
	ctx, cancel := bounded()
	defer cancel()
	r.ledger.publishing(d, n)
	if err := d.line.PublishBundle(ctx, d.Bundles[n]); err != nil {
		return err
	}
	r.ledger.confirmed(d, n)
	return nil
}

func (r *run) look(by, at *device) error {
	ctx, cancel := bounded()
	defer cancel()
	bundle, err := by.line.FetchBundle(ctx, at.Account, at.ID)
	if err != nil {
		return err
	}
	r.ledger.looked(at, bundle)
	return nil
}

// recover starts a server without faults on what is left, does what clients
// do, and holds the ledger against the result.
func (r *run) recover(what string) {
	r.t.Helper()
	r.server.kill()
	r.server.judge = nil
	r.server.check(what + ", before the restart")
	r.ledger.crashed()
	if err := inOrder(r.server.start, r.resume, r.end); err != nil {
		r.t.Errorf("%s: afterwards: %v\n%s", what, err, r.server.logs)
	}
	for _, fault := range r.ledger.settle() {
		r.t.Errorf("%s: %s", what, fault)
	}
	r.server.check(what + ", at the end")
}

// resume is what clients do after an outage. The second fetch finds nothing.
func (r *run) resume() error {
	for _, d := range r.people {
		if p := r.ledger.bundles[d]; p == nil || p.sure < 0 {
			if err := r.register(d); err != nil {
				return err
			}
		}
	}
	sender := r.people[0]
	for _, d := range r.people {
		err := inOrder(
			func() error { return r.look(sender, d) },
			func() error { return r.sendThese(sender, d, r.ledger.unanswered(d)) },
			func() error { return r.empty(d) },
			func() error { return r.empty(d) },
		)
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}
