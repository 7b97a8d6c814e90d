package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/server/bus/bustest"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// door is the one address that a person knows, behind which something decides
// which node answers.
type door struct {
	t        *testing.T
	listener net.Listener

	mu      sync.Mutex
	node    string // where new connections go
	through []net.Conn
	closed  bool
	silent  chan struct{} // nothing passes until it is closed
}

func newDoor(t *testing.T, to *daemon) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, listener: l, node: to.address}
	go d.serve()
	t.Cleanup(func() {
		_ = l.Close()
		d.shut(false)
		d.cut(func() { d.closed = true })
	})
	return d
}

func (d *door) url() string { return "http://" + d.listener.Addr().String() }

func (d *door) serve() {
	for {
		outside, err := d.listener.Accept()
		if err != nil {
			return
		}
		go d.pass(outside)
	}
}

// pass carries bytes both ways until one side ends.
func (d *door) pass(outside net.Conn) {
	d.mu.Lock()
	to := d.node
	d.mu.Unlock()
	inside, err := net.Dial("tcp", to)
	if err != nil {
		_ = outside.Close()
		return
	}
	d.mu.Lock()
	if d.through = append(d.through, outside, inside); d.closed || d.node != to {
		_, _ = outside.Close(), inside.Close()
	}
	d.mu.Unlock()
	go d.carry(inside, outside)
	d.carry(outside, inside)
}

// carry copies one way, and stops in its tracks while the door is shut.
func (d *door) carry(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		d.mu.Lock()
		silent := d.silent
		d.mu.Unlock()
		if silent != nil {
			<-silent
		}
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

// shut lets nothing through, as a network does that drops every packet, or
// opens again.
func (d *door) shut(shut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.silent != nil {
		close(d.silent)
		d.silent = nil
	}
	if shut {
		d.silent = make(chan struct{})
	}
}

// lead sends everybody to another node: what was open is cut.
func (d *door) lead(to *daemon) { d.cut(func() { d.node = to.address }) }

func (d *door) cut(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	for _, c := range d.through {
		_ = c.Close()
	}
	d.through = nil
}

// clustered starts three nodes over one PostgreSQL and one NATS server.
func clustered(t *testing.T) (nats *bustest.Server, nodes []*daemon) {
	nats = bustest.Start(t)
	database := pgtest.New(t).Database(t)
	for i := range 3 {
		nodes = append(nodes, startDaemon(t, "--store", database, "--bus", nats.URL(), "--node-name", fmt.Sprint("node-", i+1)))
	}
	return nats, nodes
}

// arrives waits until somebody has a text, and says for how long.
func (e *engine) arrives(t *testing.T, from account.Name, text string) time.Duration {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		messages, err := e.Inbox(t.Context(), client.Filter{From: from, All: true})
		if err != nil && !errors.Is(err, client.ErrUnknownName) { // a first text makes the contact
			t.Fatal(err)
		}
		for _, m := range messages {
			if m.Text == text && !m.Outgoing {
				return time.Since(began)
			}
		}
		if time.Since(began) > patience {
			t.Fatalf("%q did not arrive within %v", text, patience)
		}
	}
}

// says sends a text, and says how long it took until the peer had it. Where no
// server can be reached the text waits in the outbox.
func (e *engine) says(t *testing.T, peer *engine, text string) time.Duration {
	t.Helper()
	began := time.Now()
	if _, err := e.Send(t.Context(), peer.name, text); err != nil && !errors.Is(err, client.ErrOffline) {
		t.Fatal(err)
	}
	peer.arrives(t, e.name, text)
	return time.Since(began)
}

// TestThreeNodesLoseNothing: two people write to each other over three nodes
// while one of them moves to another node, a node is killed, and the bus hangs,
// is killed and comes back. Every text that was accepted arrives, once.
func TestThreeNodesLoseNothing(t *testing.T) {
	t.Parallel()
	nats, nodes := clustered(t)
	left, right := newDoor(t, nodes[0]), newDoor(t, nodes[1])
	alice, bob := enlist(t, "alice", left.url()), enlist(t, "bob", right.url())
	ctx, endLoad := context.WithCancel(t.Context())
	defer endLoad()
	var load, running sync.WaitGroup
	for _, pair := range [][2]*engine{{alice, bob}, {bob, alice}} {
		load.Go(func() { pair[0].writeUntil(ctx, pair[1].name) })
		running.Go(func() { _ = pair[0].Run(t.Context()) })
	}
	steps := []struct {
		name string
		do   func()
	}{
		{"bob moves to node 3", func() { right.lead(nodes[2]) }},
		{"node 1 is killed", func() { nodes[0].kill(); left.lead(nodes[1]) }},
		{"node 1 starts again", func() { nodes[0].start(); left.lead(nodes[0]) }},
		{"the bus hangs", func() { nats.Pause(); time.Sleep(8 * time.Second) }},
		{"the bus goes on", nats.Resume},
		{"the bus is killed", nats.Kill},
		{"the bus is back", nats.Restart},
		{"bob's node is killed", func() { nodes[2].kill(); right.lead(nodes[0]) }},
	}
	for _, step := range steps {
		time.Sleep(500 * time.Millisecond)
		step.do()
		there := bob.says(t, alice, "bob's word: "+step.name)
		back := alice.says(t, bob, "alice's word: "+step.name)
		t.Logf("%s: %v there, %v back", step.name, there.Round(time.Millisecond), back.Round(time.Millisecond))
	}
	endLoad()
	load.Wait()
	for _, end := range [][2]*engine{{alice, bob}, {bob, alice}} {
		end[0].says(t, end[1], "the last word of "+string(end[0].name))
	}
	alice.checkArrivedAt(t, bob)
	bob.checkArrivedAt(t, alice)
}

// TestQuietNodesWithoutTheBus: with nobody else writing, a text comes at once
// over the bus, and within the bound without it.
func TestQuietNodesWithoutTheBus(t *testing.T) {
	t.Parallel()
	nats, nodes := clustered(t)
	alice, bob := enlist(t, "alice", newDoor(t, nodes[0]).url()), enlist(t, "bob", newDoor(t, nodes[1]).url())
	for _, e := range []*engine{alice, bob} {
		go func() { _ = e.Run(t.Context()) }()
	}
	alice.says(t, bob, "the first makes a session")
	bob.says(t, alice, "and its answer confirms it")
	// Five texts one after the other have to come within the bound, at last. Where
	// the bus is not what brings them, each takes longer.
	measure := func(state string, bound time.Duration) {
		t.Helper()
		end, inRow := time.Now().Add(patience), 0
		var slowest time.Duration
		for i := 0; inRow < 5; i++ {
			if time.Now().After(end) {
				t.Fatalf("%s: one of five texts still takes more than %v", state, bound)
			}
			took := alice.says(t, bob, fmt.Sprint(state, " ", i))
			if inRow, slowest = inRow+1, max(slowest, took); took > bound {
				inRow, slowest = 0, 0
			}
			time.Sleep(200 * time.Millisecond)
		}
		t.Logf("%s: at most %v", state, slowest.Round(time.Millisecond))
	}
	measure("with the bus", 3*time.Second)
	nats.Kill()
	measure("the bus is killed", 8*time.Second)
	nats.Restart()
	measure("the bus is back", 3*time.Second)
	nats.Pause()
	defer nats.Resume()
	measure("the bus hangs", 12*time.Second)
}
