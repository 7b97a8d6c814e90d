package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/bus"
	"github.com/posthorn/posthorn/server/bus/bustest"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// hurried makes nodes notice each other faster than real ones. One that a busy
// machine holds up for a while stays one of them.
func hurried(t *testing.T) {
	was := pace
	pace = tempo{beat: 100 * time.Millisecond, watch: 400 * time.Millisecond, silence: 2 * time.Second, lease: time.Hour, forget: time.Hour}
	t.Cleanup(func() { pace = was })
}

// node opens one of several servers over a store.
func node(t *testing.T, s store.Store, name string, b bus.Bus, limits Limits) *office {
	return openOver(t, s, Options{OpenRegistration: true, Node: name, Bus: b, Limits: limits})
}

// onNATS is a connection to a NATS server.
func onNATS(t *testing.T, s *bustest.Server) bus.Bus {
	t.Helper()
	b, err := bus.New(bus.Options{URL: s.URL(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// patient streams look into the store so seldom that what comes was pushed.
func patient() Limits {
	l := limitless()
	l.Repair, l.RepairNoBus = time.Hour, time.Hour
	return l
}

// healthy waits until all nodes hear each other, or until none does.
func healthy(t *testing.T, want bool, all ...*office) {
	t.Helper()
	await(t, func() bool {
		return !slices.ContainsFunc(all, func(o *office) bool { return o.srv.cluster.healthy() != want })
	})
}

// hears waits until a node has heard so many others. The time that a new one is
// given to be heard is no sign of it, a later one is.
func (o *office) hears(others int) {
	o.t.Helper()
	m, given := o.srv.cluster.members, map[string]time.Duration{}
	await(o.t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		heard := 0
		for id, p := range m.peers {
			if _, seen := given[id]; !seen {
				given[id] = p.heard
			}
			if p.heard > given[id] {
				heard++
			}
		}
		return heard == others
	})
}

// three nodes over one store and a NATS server, which hear each other.
func three(t *testing.T, limits Limits) (nats *bustest.Server, all []*office) {
	nats = bustest.Start(t)
	s := memory.New()
	for i := range 3 {
		all = append(all, node(t, s, fmt.Sprintf("node-%d", i), onNATS(t, nats), limits))
	}
	for _, o := range all {
		o.hears(2)
	}
	healthy(t, true, all...)
	return nats, all
}

// gets reads one envelope and says how long it took.
func (e ear) gets(payload string, since time.Time) time.Duration {
	e.t.Helper()
	for {
		r := e.next()
		for _, d := range r.GetDeliveries() {
			if string(d.GetPayload()) != payload {
				e.t.Fatalf("%q came where %q was due", d.GetPayload(), payload)
			}
			return time.Since(since)
		}
	}
}

// What one node accepts, a device gets at another, pushed and not looked for.
func TestPushAcrossNodes(t *testing.T) {
	hurried(t)
	_, all := three(t, patient())
	alice, bob := all[0].join("alice"), all[1].join("bob")
	heard := bob.listen()
	heard.catchUp()
	alice.sendAll(envelope(bob, "the first is looked for once")) // the stream does not know its number yet
	heard.gets("the first is looked for once", time.Now())
	var slowest time.Duration
	for i := range 50 {
		for from, o := range all {
			text, began := fmt.Sprintf("%d from node %d", i, from), time.Now()
			alice.at(o).sendAll(envelope(bob, text))
			slowest = max(slowest, heard.gets(text, began))
		}
	}
	big := string(make([]byte, maxPushed+1))
	began := time.Now()
	alice.at(all[2]).sendAll(envelope(bob, big))
	t.Logf("slowest of 150: %v; one above the bound of a push: %v", slowest.Round(time.Microsecond), heard.gets(big, began).Round(time.Microsecond))
}

// A device that goes to another node takes its stream along: the older one
// ends, and the new one is pushed to.
func TestDeviceMovesBetweenNodes(t *testing.T) {
	hurried(t)
	_, all := three(t, patient())
	alice, bob := all[0].join("alice"), all[1].join("bob")
	older := bob.listen()
	older.catchUp()
	for move := range 6 {
		newer := bob.at(all[(move+2)%3]).listen()
		newer.catchUp()
		_, err := older.stream.Receive()
		if detailOf(t, err).GetReason() != api.ReasonReplaced {
			t.Fatalf("move %d: the older stream got %v", move, err)
		}
		text := fmt.Sprint("after move ", move)
		alice.sendAll(envelope(bob, text))
		newer.gets(text, time.Now())
		bob.ack(uint64(move + 1))
		older = newer
	}
}

// Without a bus at all, nodes over one store deliver by looking into it.
func TestNodesWithoutABus(t *testing.T) {
	hurried(t)
	l := limitless()
	l.Repair, l.RepairNoBus = time.Hour, 100*time.Millisecond // what comes at all was looked for
	s := memory.New()
	here, there := node(t, s, "here", nil, l), node(t, s, "there", nil, l)
	healthy(t, false, here, there)
	alice, bob := here.join("alice"), there.join("bob")
	heard := bob.listen()
	heard.catchUp()
	for i := range 10 {
		alice.sendAll(envelope(bob, fmt.Sprint(i)))
		heard.gets(fmt.Sprint(i), time.Now())
	}
}

// hurt is a way to hurt a NATS server, and to make it well.
var hurts = map[string]struct{ hurt, heal func(*bustest.Server) }{
	"killed": {(*bustest.Server).Kill, (*bustest.Server).Restart},
	"paused": {(*bustest.Server).Pause, (*bustest.Server).Resume},
}

// TestWithoutNATS: while the bus is gone, envelopes come by the looks that the
// limits set for that once the failure is noticed, each once and in order; there
// is no other look within an hour. When the bus is back they are pushed again.
func TestWithoutNATS(t *testing.T) {
	for name, way := range hurts {
		t.Run(name, func(t *testing.T) {
			hurried(t)
			l := limitless()
			l.Repair, l.RepairNoBus = time.Hour, 200*time.Millisecond
			nats, all := three(t, l)
			alice, bob := all[0].join("alice"), all[1].join("bob")
			heard := bob.listen()
			heard.catchUp()
			alice.sendAll(envelope(bob, "before"))
			heard.gets("before", time.Now())

			way.hurt(nats)
			began := time.Now()
			alice.sendAll(envelope(bob, "unnoticed"))
			unnoticed := heard.gets("unnoticed", began)
			healthy(t, false, all...)
			var slowest time.Duration
			for i := range 10 {
				began := time.Now()
				alice.sendAll(envelope(bob, fmt.Sprint(i)))
				slowest = max(slowest, heard.gets(fmt.Sprint(i), began))
			}

			way.heal(nats)
			healthy(t, true, all...)
			alice.sendAll(envelope(bob, "after"))
			heard.gets("after", time.Now())
			var pushed time.Duration
			for i := range 10 {
				began := time.Now()
				alice.sendAll(envelope(bob, fmt.Sprint("pushed ", i)))
				pushed = max(pushed, heard.gets(fmt.Sprint("pushed ", i), began))
			}
			t.Logf("at the failure %v, then at most %v, pushed again in at most %v", unnoticed.Round(time.Millisecond), slowest.Round(time.Millisecond), pushed.Round(time.Microsecond))
		})
	}
}

// A second process with the name of a node is refused while the first lives,
// and takes over at once after a clean stop, after a watch when it has crashed.
func TestOneNodeForAName(t *testing.T) {
	hurried(t)
	soon := pace
	pace.beat, pace.watch = 2*time.Second, time.Hour // who watches to the end is not done today
	s := memory.New()
	first := node(t, s, "mail-1", nil, Limits{})
	second := New(s, Options{Node: "mail-1"})
	if err := second.Join(t.Context()); !errors.Is(err, ErrNode) {
		t.Fatalf("a second process with the name: %v", err)
	}
	first.close()
	if err := second.Join(t.Context()); err != nil {
		t.Fatalf("after a clean stop: %v", err)
	}
	pace = soon
	began := time.Now()
	third := New(s, Options{Node: "mail-1"}) // the second does not run: it has crashed
	if err := third.Join(t.Context()); err != nil || time.Since(began) < pace.watch {
		t.Fatalf("after a crash: %v after %v", err, time.Since(began))
	}
	if err := second.cluster.run(t.Context()); !errors.Is(err, ErrNode) {
		t.Errorf("the first holder of a name that was taken over goes on: %v", err)
	}
	third.cluster.leave()
}

// A node that dies is missed as long as its lease runs. Then nobody waits for it,
// and at last it is forgotten.
func TestDeadNodesAreForgotten(t *testing.T) {
	hurried(t) // leases of an hour
	s := memory.New()
	dead := New(s, Options{Node: "dead"})
	if err := dead.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	waits := node(t, s, "waits", nil, Limits{})
	await(t, func() bool {
		if waits.srv.cluster.healthy() {
			t.Fatal("nobody misses the dead one")
		}
		all := nodesOf(t, s)
		return all[all.find("waits")].beats > 3
	})
	waits.close()
	pace.lease, pace.forget = time.Second, 3*time.Second
	live := node(t, s, "live", nil, Limits{})
	healthy(t, true, live) // the lease has run out
	await(t, func() bool {
		all := nodesOf(t, s)
		return len(all) == 1 && all[0].name == "live"
	})
}

// nodesOf is the record of nodes in a store.
func nodesOf(t *testing.T, s store.Store) nodesRecord {
	t.Helper()
	value, _, err := s.Get(t.Context(), nodesKey)
	if err != nil {
		t.Fatal(err)
	}
	all, err := parseNodesRecord(value)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestNodeNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "mail-1": true, "": false, "Mail": false, "a.b": false, "a b": false, "ä": false, "x*": false,
		"0123456789012345678901234567890a": true, "0123456789012345678901234567890ab": false,
	} {
		if err := CheckNodeName(name); (err == nil) != ok || err != nil && !errors.Is(err, ErrNode) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// rumour is a network between nodes that loses, doubles and delays what it
// carries, and is never noticed doing so.
type rumour struct {
	mu    sync.Mutex
	nodes map[string]bus.Receiver
	late  sync.WaitGroup
	lost  atomic.Int64
}

type rumourBus struct {
	*rumour
	node string
}

func (b *rumourBus) Join(node string, in bus.Receiver) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.node, b.nodes[node] = node, in
	return nil
}

func (b *rumourBus) Send(node string, message []byte) {
	b.mu.Lock()
	in := b.nodes[node]
	b.mu.Unlock()
	if in == nil || rand.IntN(10) < 3 {
		b.lost.Add(1)
		return
	}
	for range 1 + rand.IntN(2) {
		delay := time.Duration(rand.IntN(3)*rand.IntN(10)) * time.Millisecond
		copied := slices.Clone(message)
		b.late.Go(func() {
			time.Sleep(delay)
			in.Receive(copied)
		})
	}
}

func (b *rumourBus) Broadcast(message []byte) {
	b.mu.Lock()
	all := make([]string, 0, len(b.nodes))
	for id := range b.nodes {
		all = append(all, id)
	}
	b.mu.Unlock()
	for _, id := range all {
		b.Send(id, message)
	}
}

func (b *rumourBus) Lost() uint64    { return 0 }
func (b *rumourBus) Reached() uint64 { return 1 }
func (b *rumourBus) Up() bool        { return true }
func (b *rumourBus) Close()          {}

// TestNoGapOverABadBus: three nodes, a bus that loses a third, doubles half and
// brings the rest in any order; senders at all nodes, and a device that moves
// between them. Each of its streams is without a gap and in order, and in the
// end everything has come.
func TestNoGapOverABadBus(t *testing.T) {
	hurried(t)
	const senders, each = 4, 60
	l := limitless()
	l.Repair, l.RepairNoBus = 640*time.Millisecond, 20*time.Millisecond
	s, between := memory.New(), &rumour{nodes: map[string]bus.Receiver{}}
	t.Cleanup(between.late.Wait)
	var all []*office
	for i := range 3 {
		all = append(all, node(t, s, fmt.Sprint("node-", i), &rumourBus{rumour: between}, l))
	}
	bob := all[0].join("bob")
	var sending sync.WaitGroup
	for i := range senders {
		p := all[i%3].join(fmt.Sprint("sender", i))
		sending.Go(func() { p.rain(bob, all, each) })
	}
	got := map[string]bool{}
	for last := uint64(0); len(got) < senders*each; {
		last = bob.at(all[rand.IntN(3)]).listenFor(last, got, 1+rand.IntN(40), senders*each)
	}
	sending.Wait()
	if between.lost.Load() == 0 {
		t.Error("the bus lost nothing")
	}
}

// rain sends envelopes one by one, each at another node.
func (p *person) rain(to *person, nodes []*office, n int) {
	lines := make([]*line, len(nodes))
	for i, o := range nodes {
		lines[i] = o.connectAs(p.audience, false)
	}
	for i := range n {
		e := envelope(to, fmt.Sprintf("%s %d", p.name, i))
		answer, err := lines[rand.IntN(len(lines))].mailbox.Send(bearer(p.t, p.token), &posthornv1.SendRequest{Envelopes: []*posthornv1.Envelope{e}})
		if err != nil || answer.GetStatuses()[0] != posthornv1.SendStatus_SEND_STATUS_ACCEPTED {
			p.t.Errorf("not accepted: %v %v", answer, err)
		}
		time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
	}
}

// listenFor opens a stream after what was acknowledged, takes some envelopes or
// all that are left, and acknowledges them. It returns the last number.
func (p *person) listenFor(last uint64, got map[string]bool, some, all int) uint64 {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(bearer(p.t, p.token), 5*time.Minute)
	defer cancel()
	stream, err := p.line.mailbox.Receive(ctx, &posthornv1.ReceiveRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	defer stream.Close()
	for had := len(got); len(got) < had+some && len(got) < all; {
		r, err := stream.Receive()
		if err != nil {
			p.t.Fatalf("with %d of %d: %v", len(got), all, err)
		}
		for _, d := range r.GetDeliveries() {
			if last++; d.GetSeq() != last {
				p.t.Fatalf("number %d came where %d was due", d.GetSeq(), last)
			}
			if got[string(d.GetPayload())] {
				p.t.Fatalf("%q came twice", d.GetPayload())
			}
			got[string(d.GetPayload())] = true
		}
	}
	p.ack(last)
	return last
}

// A device that does not read costs its node a bounded amount of memory while
// other nodes push to it without end, and misses nothing.
func TestSlowDeviceAtAnotherNode(t *testing.T) {
	hurried(t)
	const senders, each, size = 4, 120, 60_000
	l := limitless()
	l.StreamWrite = time.Hour // it does not read until all is sent, however long that takes
	_, all := three(t, l)
	bob := all[1].join("bob")
	slow := bob.at(all[1]).listen() // its window fills, and then it holds up its own stream
	slow.catchUp()
	var sending sync.WaitGroup
	for i := range senders {
		p := all[2*(i%2)].join(fmt.Sprint("sender", i))
		sending.Go(func() {
			for n := range each {
				p.sendAll(envelope(bob, fmt.Sprintf("%*d", size, i*each+n)))
			}
		})
	}
	sent := make(chan struct{})
	go func() {
		sending.Wait()
		close(sent)
	}()
	fell := false
	for sending := true; sending; {
		select {
		case <-sent:
			sending = false
		case <-time.After(time.Millisecond):
		}
		h := all[1].srv.cluster.hub
		h.mu.Lock()
		for _, l := range h.streams {
			if fell = fell || l.news.behind; l.news.size > queuedBytes || len(l.news.queue) > queuedEnvelopes {
				t.Errorf("%d envelopes with %d bytes wait in memory", len(l.news.queue), l.news.size)
			}
		}
		h.mu.Unlock()
	}
	if !fell {
		t.Error("the device was never too slow")
	}
	next := uint64(0)
	for next < senders*each {
		for _, d := range slow.next().GetDeliveries() {
			if next++; d.GetSeq() != next || len(d.GetPayload()) != size {
				t.Fatalf("number %d with %d bytes came where %d was due", d.GetSeq(), len(d.GetPayload()), next)
			}
		}
	}
}
