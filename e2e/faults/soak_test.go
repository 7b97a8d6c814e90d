//go:build linux && amd64

package faults

import (
	"context"
	"flag"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/transport"
)

// soakFor is how long the soak takes. Whether the server stays flat is judged
// from five minutes on.
var soakFor = flag.Duration("soak", 10*time.Second, "how long TestSoak loads a server")

// TestSoak: mixed load with faults on one server process. Devices send, listen
// and acknowledge, break their streams off at any moment, or stop reading;
// strangers open connections and say half of something. Nothing is lost, and
// memory, goroutines and descriptors of the server stay where they were.
func TestSoak(t *testing.T) {
	t.Parallel()
	var people []*device
	for _, name := range []account.Name{"alice", "bob", "carol", "dave", "erin", "frank"} {
		d := newDevice(t, name, 1)
		d.h2c = len(people)%2 == 1
		people = append(people, d)
	}
	r := newRun(t, filepath.Join(t.TempDir(), "data"), people)
	watched := r.server.measured()
	if err := inOrder(r.server.start, func() error { return r.register(people...) }); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var work sync.WaitGroup
	for i, d := range people {
		random := rand.New(rand.NewPCG(uint64(i), 7))
		work.Go(func() { r.writeUntil(ctx, d, people, random) })
		work.Go(func() { r.listenUntil(ctx, d, rand.New(rand.NewPCG(uint64(i), 8))) })
	}
	work.Go(func() { r.intrudeUntil(ctx) })
	samples := watched.sampleFor(ctx, *soakFor)
	end()
	work.Wait()
	if err := inOrder(r.resume, r.end); err != nil {
		t.Error(err)
	}
	for _, fault := range r.ledger.settle() {
		t.Error(fault)
	}
	r.server.check("after the soak")
	t.Logf("%d envelopes accepted and delivered in %v, %d of them more than once before their ack", r.ledger.accepted, *soakFor, r.ledger.repeats)
	judge(t, samples)
}

// writeUntil sends small batches to the others, and looks somebody up now and
// then.
func (r *run) writeUntil(ctx context.Context, d *device, people []*device, random *rand.Rand) {
	for ctx.Err() == nil {
		to := people[random.IntN(len(people))]
		if err := r.send(d, to, 1+random.IntN(6), random.IntN(4000)); err != nil {
			r.t.Errorf("%s: send: %v", d.name, err)
			return
		}
		if random.IntN(20) == 0 {
			if err := r.look(d, to); err != nil {
				r.t.Errorf("%s: look: %v", d.name, err)
				return
			}
		}
		time.Sleep(time.Duration(50+random.IntN(100)) * time.Millisecond)
	}
}

// listenUntil opens one stream after the other. Each is broken off at a random
// moment, between a delivery and its ack as well, and some are not read for a
// while.
func (r *run) listenUntil(ctx context.Context, d *device, random *rand.Rand) {
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(4000))*time.Millisecond)
		if stream, err := d.line.Receive(short); err == nil {
			if random.IntN(4) == 0 {
				<-time.After(time.Duration(random.IntN(1500)) * time.Millisecond)
			}
			r.follow(short, d, stream)
			_ = stream.Close()
		}
		cancel()
	}
}

// follow takes what a stream gives until it breaks.
func (r *run) follow(ctx context.Context, d *device, stream *transport.Stream) {
	for {
		batch, err := stream.Next()
		if err != nil {
			return
		}
		if newest := r.ledger.took(d, batch.Deliveries); newest > 0 && ctx.Err() == nil {
			if err := r.ack(d, newest); err != nil {
				r.t.Errorf("%s: ack: %v", d.name, err)
			}
		}
	}
}

// intrudeUntil opens connections that never become a call.
func (r *run) intrudeUntil(ctx context.Context) {
	beginnings := []string{"", "GET / HT", "POST /posthorn.v1.MailboxService/Send HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhalf", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense", "\x16\x03\x01"}
	for i := 0; ctx.Err() == nil; i++ {
		if c, err := net.Dial("tcp", r.server.address); err == nil {
			_, _ = c.Write([]byte(beginnings[i%len(beginnings)]))
			time.AfterFunc(time.Duration(i%20)*100*time.Millisecond, func() { _ = c.Close() })
		}
		time.Sleep(100 * time.Millisecond)
	}
}
