package server

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/server/bus"
	"github.com/posthorn/posthorn/server/metrics"
	"github.com/posthorn/posthorn/server/store"
)

// cluster is this node's place among the nodes over one store. What another
// node reads, it tells that node of; what another node accepted, it is told of.
// All of that may fail: streams then read the store.
type cluster struct {
	store store.Store
	hub   *hub
	bus   bus.Bus // nil: there is none
	log   *slog.Logger
	seal  *sealer
	alone bool   // no other process has this store
	name  string // of the node, given by the operator
	id    string // of this run of the node: what presence says
	*members
}

// newCluster makes the place of a node. Without a name the node is alone.
func newCluster(s store.Store, h *hub, keys *keyring, options Options, log *slog.Logger) *cluster {
	c := &cluster{store: s, hub: h, bus: options.Bus, log: log, alone: options.Node == "", name: options.Node, id: "local"}
	if !c.alone {
		c.members = newMembers(pace)
		c.id = nodeID(c.name, c.incarnation)
	}
	c.seal = newSealer(keys, c.id)
	return c
}

// nodeID names one run of a node.
func nodeID(name string, incarnation [8]byte) string {
	return name + "-" + hex.EncodeToString(incarnation[:])
}

// attach notes that a mailbox is read here, by a stream that began at a time,
// and ends an older one elsewhere.
func (c *cluster) attach(ctx context.Context, box store.Box, began time.Time) error {
	if err := c.store.Attach(ctx, box, c.id); err != nil {
		return err
	}
	if !c.alone {
		c.broadcast(ctx, notice{kind: noticeMoved, box: box, at: uint64(began.UnixNano())})
	}
	return nil
}

// announce tells the stream of a mailbox, wherever it is, of an envelope that
// was stored just now.
func (c *cluster) announce(ctx context.Context, e store.Envelope, a store.Appended, now time.Time) {
	m := store.Msg{Seq: a.Seq, ID: e.ID, Sender: e.Sender, At: time.UnixMilli(e.At.UnixMilli()), Data: e.Data}
	if a.Repeat {
		m.Data = nil // the number belongs to bytes that only the store has
	}
	c.hub.push(e.Box, m)
	if c.bus == nil || a.Node == "" || a.Node == c.id {
		return
	}
	if len(m.Data) > maxPushed {
		m.Data = nil
	}
	sealed, err := c.seal.seal(ctx, a.Node, notice{kind: noticeStored, box: e.Box, msg: m}, now)
	if err != nil {
		return // no keys yet: the stream finds it by itself
	}
	c.bus.Send(a.Node, sealed)
}

// Receive acts on what another node says. It is the bus that calls it.
func (c *cluster) Receive(message []byte) {
	from, n, err := c.seal.open(message)
	if err != nil {
		c.members.refused.Add(1)
		return
	}
	switch n.kind {
	case noticeStored:
		c.hub.push(n.box, n.msg)
	case noticeMoved:
		c.hub.end(n.box, time.Unix(0, int64(n.at)))
	case noticeBeat:
		if c.members.hear(from, n.lost) {
			c.hub.alarm() // something of its did not get through
		}
	}
}

// Disturbed makes all streams look into the store: the bus may have lost
// something. No node counts as heard until it is heard again.
func (c *cluster) Disturbed() {
	c.members.doubt()
	c.hub.alarm()
}

func (c *cluster) broadcast(ctx context.Context, n notice) {
	if c.bus == nil {
		return
	}
	if sealed, err := c.seal.seal(ctx, "", n, clock.Now()); err == nil {
		c.bus.Broadcast(sealed)
	}
}

// healthy tells whether this node hears all others, so that what is not heard
// was not said.
func (c *cluster) healthy() bool { return c.alone || c.members.healthy.Load() }

// report is what the metrics tell of this node and the bus.
func (c *cluster) report() metrics.Nodes {
	n := metrics.Nodes{Others: c.members.living(), Hears: c.healthy(), Refused: c.members.refused.Load()}
	if c.bus != nil {
		n.Bus, n.Up, n.Reached, n.Lost = true, c.bus.Up(), c.bus.Reached(), c.bus.Lost()
	}
	return n
}

// join takes the name of this node, and connects to the others.
func (c *cluster) join(ctx context.Context) error {
	if c.alone {
		return nil
	}
	if err := c.takeName(ctx); err != nil {
		return err
	}
	if c.bus == nil {
		return nil
	}
	if err := c.bus.Join(c.id, c); err != nil {
		return fmt.Errorf("%w: %w", ErrNode, err)
	}
	return nil
}

// run keeps the lease of this node and watches the others until ctx ends, or
// until another process has taken the name: ErrNode.
func (c *cluster) run(ctx context.Context) error {
	if c.alone {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(c.pace.beat)
	defer tick.Stop()
	for {
		if err := c.beat(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// beat renews the lease, tells the others, and looks whether all are heard.
func (c *cluster) beat(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, 2*c.pace.beat)
	defer cancel()
	err := c.renew(bounded)
	heard := c.bus != nil && c.bus.Up()
	if heard {
		c.broadcast(bounded, notice{kind: noticeBeat, lost: c.bus.Lost()})
	}
	if was := c.members.judge(heard); was != c.healthy() {
		c.log.Info("pushes between nodes", "arrive", c.healthy())
		c.hub.alarm()
	}
	return err
}

// leave gives the name back and closes the bus.
func (c *cluster) leave() {
	if c.alone {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.pace.beat)
	defer cancel()
	c.dropLease(ctx)
	if c.bus != nil {
		c.bus.Close()
	}
}
