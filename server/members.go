package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/server/store"
)

// The nodes over one store are in one record of it:
//
//	cluster/nodes    u16 count × ( v16(name) ‖ incarnation[8] ‖ u64 beats )
//
// A node raises its beats as long as it runs. Whoever sees them unchanged for a
// while by its own stopwatch takes the node for dead; no two clocks are
// compared. A clean stop takes the node out. The record is written with Note: a
// failover sets it back, and every node enters itself again with its next beat.
const nodesKey = "cluster/nodes"

const (
	// maxNodes bounds the nodes over one store.
	maxNodes = 64
	// maxNodeName bounds a node's name.
	maxNodeName = 32
)

// tempo says how fast nodes notice each other. All of it is elapsed time.
type tempo struct {
	beat    time.Duration // between two signs of life
	watch   time.Duration // how long a taken name is watched for one
	silence time.Duration // after which a node is not heard any more
	lease   time.Duration // after which a node is dead
	forget  time.Duration // after which a dead one is taken out
}

// pace is the tempo of real servers. A node that stops being heard is noticed
// within silence and one beat, 6 s.
var pace = tempo{beat: time.Second, watch: 4 * time.Second, silence: 5 * time.Second, lease: 10 * time.Second, forget: time.Minute}

// CheckNodeName says whether a node may have this name: 1 to 32 of a-z, 0-9
// and -. ErrNode.
func CheckNodeName(name string) error {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return fmt.Errorf("%w: a name has letters a-z, digits and hyphens only", ErrNode)
		}
	}
	if name == "" || len(name) > maxNodeName {
		return fmt.Errorf("%w: a name has 1 to %d characters", ErrNode, maxNodeName)
	}
	return nil
}

// nodeRecord is one entry of the record.
type nodeRecord struct {
	name        string
	incarnation [8]byte
	beats       uint64
}

func (r nodeRecord) id() string { return nodeID(r.name, r.incarnation) }

type nodesRecord []nodeRecord

func (r nodesRecord) marshal() []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(r)))
	for _, n := range r {
		b = codec.AppendV16(b, []byte(n.name))
		b = append(b, n.incarnation[:]...)
		b = binary.BigEndian.AppendUint64(b, n.beats)
	}
	return b
}

func parseNodesRecord(b []byte) (r nodesRecord, err error) {
	reader := codec.NewReader(b)
	for n := reader.U16(); n > 0 && !reader.Failed(); n-- {
		var e nodeRecord
		e.name = string(reader.V16(maxNodeName))
		reader.Copy(e.incarnation[:])
		e.beats = reader.U64()
		r = append(r, e)
	}
	if !reader.Done() || len(r) > maxNodes {
		return nil, errRecord
	}
	return r, nil
}

// find is the place of a name, or -1.
func (r nodesRecord) find(name string) int {
	return slices.IndexFunc(r, func(n nodeRecord) bool { return n.name == name })
}

// members is what a node knows of the others.
type members struct {
	pace        tempo
	incarnation [8]byte
	began       time.Time
	refused     atomic.Uint64 // messages on the bus that no node has sent
	healthy     atomic.Bool   // all live nodes are heard

	mu    sync.Mutex
	peers map[string]*peer // by id
}

// peer is another node. Times are elapsed ones, since this node began.
type peer struct {
	beats uint64
	moved time.Duration // when its beats last changed in the store
	heard time.Duration // when it was last heard on the bus
	lost  uint64        // what it said then of messages that did not get through
}

func newMembers(t tempo) *members {
	m := &members{pace: t, began: time.Now(), peers: map[string]*peer{}}
	_, _ = rand.Read(m.incarnation[:])
	return m
}

func (m *members) elapsed() time.Duration { return time.Since(m.began) }

// hear notes a sign of life on the bus, and reports whether that node has lost
// messages since the last one.
func (m *members) hear(id string, lost uint64) (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[id]
	if p == nil {
		return false
	}
	news = p.lost != lost
	p.heard, p.lost = m.elapsed(), lost
	return news
}

// doubt forgets when the others were heard.
func (m *members) doubt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.peers {
		p.heard = -2 * m.pace.silence
	}
	m.healthy.Store(len(m.peers) == 0)
}

// observe takes over what the store says of the other nodes, and returns those
// that have been dead for so long that they are to be taken out.
func (m *members) observe(all nodesRecord, self string) (dead map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, there := m.elapsed(), map[string]bool{}
	dead = map[string]bool{}
	for _, n := range all {
		id := n.id()
		if id == self {
			continue
		}
		there[id] = true
		p := m.peers[id]
		if p == nil {
			p = &peer{beats: n.beats, moved: now, heard: now} // it gets the time to be heard
			m.peers[id] = p
		}
		if p.beats != n.beats {
			p.beats, p.moved = n.beats, now
		}
		dead[id] = now-p.moved > m.pace.forget
	}
	for id := range m.peers {
		if !there[id] {
			delete(m.peers, id)
		}
	}
	return dead
}

// judge decides whether every node that lives is heard, and returns what was
// decided before. A dead node says nothing that could be missed.
func (m *members) judge(up bool) (before bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, all := m.elapsed(), true
	for _, p := range m.peers {
		if now-p.moved <= m.pace.lease && (!up || now-p.heard > m.pace.silence) {
			all = false
		}
	}
	return m.healthy.Swap(all)
}

// living counts the other nodes whose lease has not run out.
func (m *members) living() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.peers {
		if m.elapsed()-p.moved <= m.pace.lease {
			n++
		}
	}
	return n
}

// changeNodes applies a change to the record of nodes until no other node comes
// in between. The change may refuse.
func (c *cluster) changeNodes(ctx context.Context, change func(nodesRecord) (nodesRecord, error)) error {
	for {
		value, version, err := c.store.Get(ctx, nodesKey)
		var all nodesRecord
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		default:
			if all, err = parseNodesRecord(value); err != nil {
				return err
			}
		}
		if all, err = change(all); err != nil {
			return err
		}
		_, err = c.store.Note(ctx, nodesKey, version, all.marshal())
		if !errors.Is(err, store.ErrVersion) {
			return err
		}
	}
}

// errTaken: the name has an entry, whose beats are to be watched.
type errTaken struct{ nodeRecord }

func (errTaken) Error() string { return "server: the node's name has an entry" }

// takeName enters this node. A name whose holder shows no sign of life is taken
// over; one that is in use is refused with ErrNode.
func (c *cluster) takeName(ctx context.Context) error {
	var watched *nodeRecord
	for began := c.elapsed(); ; {
		err := c.changeNodes(ctx, func(all nodesRecord) (nodesRecord, error) {
			return c.enter(all, watched, c.elapsed()-began >= c.pace.watch)
		})
		taken, ok := errors.AsType[errTaken](err)
		if !ok {
			return err
		}
		watched = &taken.nodeRecord
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.pace.beat / 2):
		}
	}
}

// enter adds this node to the others, or takes the place of one that has been
// watched for long enough.
func (c *cluster) enter(all nodesRecord, watched *nodeRecord, enough bool) (nodesRecord, error) {
	me := nodeRecord{c.name, c.incarnation, 1}
	i := all.find(c.name)
	switch {
	case i < 0 && len(all) >= maxNodes:
		return nil, fmt.Errorf("%w: %d nodes have this store", ErrNode, len(all))
	case i < 0:
		return append(all, me), nil
	case watched != nil && *watched != all[i]:
		return nil, fmt.Errorf("%w: another posthornd over this store has its name", ErrNode)
	case !enough:
		return nil, errTaken{all[i]}
	}
	all[i] = me
	return all, nil
}

// renew raises the beats of this node, takes over what the others say, and
// takes out the dead. A store that cannot be reached is not an error: the lease
// may run out, and is renewed when the store is back. ErrNode: another process
// has taken the name meanwhile.
func (c *cluster) renew(ctx context.Context) error {
	err := c.changeNodes(ctx, func(all nodesRecord) (nodesRecord, error) {
		i := all.find(c.name)
		if i >= 0 && all[i].incarnation != c.incarnation {
			return nil, fmt.Errorf("%w: another posthornd over this store has taken its name", ErrNode)
		}
		if i < 0 {
			all = append(all, nodeRecord{c.name, c.incarnation, 0})
			i = len(all) - 1
		}
		all[i].beats++
		dead := c.observe(all, c.id)
		return slices.DeleteFunc(all, func(n nodeRecord) bool { return dead[n.id()] }), nil
	})
	if err != nil && !errors.Is(err, ErrNode) {
		c.log.Debug("the lease could not be renewed", "error", err)
		return nil
	}
	return err
}

// dropLease takes this node out of the record.
func (c *cluster) dropLease(ctx context.Context) {
	_ = c.changeNodes(ctx, func(all nodesRecord) (nodesRecord, error) {
		return slices.DeleteFunc(all, func(n nodeRecord) bool { return n.incarnation == c.incarnation }), nil
	}) // it runs out otherwise
}
