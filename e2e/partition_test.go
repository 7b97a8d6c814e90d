package e2e

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/bus/bustest"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// behindDoor starts two nodes over one PostgreSQL, of which the first reaches
// the database through a door that can be shut.
func behindDoor(t *testing.T) (database *door, nodes [2]*daemon) {
	t.Helper()
	primary, nats := pgtest.NewOnLoopback(t), bustest.Start(t)
	database = newDoor(t, &daemon{address: primary.Address()})
	through := strings.Replace(database.url(), "http://", "postgres://posthorn@", 1) + "/postgres?sslmode=disable"
	for i, store := range []string{through, primary.URL("postgres")} {
		nodes[i] = startDaemon(t, "--store", store, "--bus", nats.URL())
	}
	return database, nodes
}

// turns waits until /readyz answers with a status, and says for how long.
func (d *daemon) turns(status int) time.Duration {
	d.t.Helper()
	began, caller := time.Now(), http.Client{Timeout: time.Minute}
	for ; ; time.Sleep(50 * time.Millisecond) {
		answer, err := caller.Get(d.url() + "/readyz")
		if err != nil {
			d.t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode == status {
			return time.Since(began)
		}
		if time.Since(began) > patience {
			d.t.Fatalf("readyz stays at %d, want %d", answer.StatusCode, status)
		}
	}
}

// TestClusterFaultsDatabaseCutOff: the network between one node and the
// database falls silent, without a word to either end, first for a moment and
// then until the node says that it is not ready and its client is led to the
// other node. Nothing accepted is lost or comes twice, and when the network is
// back the node goes on by itself.
func TestClusterFaultsDatabaseCutOff(t *testing.T) {
	t.Parallel()
	database, nodes := behindDoor(t)
	left, right := newDoor(t, nodes[0]), newDoor(t, nodes[1])
	alice, bob := enlist(t, "alice", left.url()), enlist(t, "bob", right.url())
	ctx, endLoad := context.WithCancel(t.Context())
	defer endLoad()
	mine, theirs := &stopwatch{last: time.Now()}, &stopwatch{last: time.Now()}
	var load sync.WaitGroup
	load.Go(func() { alice.writeSteadily(ctx, bob.name, mine) })
	load.Go(func() { bob.writeSteadily(ctx, alice.name, theirs) })
	for _, e := range []*engine{alice, bob} {
		go func() { _ = e.Run(t.Context()) }()
	}
	exchange := func(when string) {
		there, back := alice.says(t, bob, "alice's word: "+when), bob.says(t, alice, "bob's word: "+when)
		t.Logf("%-36s longest gap at the node cut off %6v, at the other %6v; a text then takes %6v and %6v", when,
			mine.lap().Round(10*time.Millisecond), theirs.lap().Round(10*time.Millisecond), there.Round(10*time.Millisecond), back.Round(10*time.Millisecond))
	}
	exchange("the load has begun")

	database.shut(true)
	time.Sleep(3 * time.Second)
	database.shut(false)
	exchange("silent for a moment")

	database.shut(true)
	unready := nodes[0].turns(http.StatusServiceUnavailable)
	left.lead(nodes[1])
	exchange("silent, and the client led away")

	database.shut(false)
	ready := nodes[0].turns(http.StatusOK)
	left.lead(nodes[0])
	exchange("the node has the database again")
	t.Logf("the node said that it is not ready after %v, and ready again after %v", unready.Round(10*time.Millisecond), ready.Round(10*time.Millisecond))

	endLoad()
	load.Wait()
	exchange("the last words")
	alice.checkArrivedAt(t, bob)
	bob.checkArrivedAt(t, alice)
}

// TestClusterFaultsNoStandby: both standbys hang, so that no commit can be
// confirmed. No text is accepted then, what was stored before still arrives at
// somebody who connects, and when the standbys go on so does everything.
func TestClusterFaultsNoStandby(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	alice, bob := enlist(t, "alice", c.nodes[0].url()), enlist(t, "bob", c.nodes[1].url())
	ctx, endLoad := context.WithTimeout(t.Context(), 3*time.Second)
	defer endLoad()
	alice.writeSteadily(ctx, bob.name, &stopwatch{last: time.Now()})
	if _, err := alice.Send(t.Context(), bob.name, "stored before"); err != nil {
		t.Fatal(err)
	}

	goOn := c.halt(c.standbys[0].PID(), c.standbys[1].PID())
	defer goOn()
	began := time.Now()
	go func() { _ = bob.Run(t.Context()) }()
	took := bob.arrives(t, alice.name, "stored before")
	waiting, giveUp := context.WithTimeout(t.Context(), 5*time.Second)
	defer giveUp()
	sent, err := alice.Send(waiting, bob.name, "without a standby")
	if err == nil || sent.Accepted {
		t.Errorf("a text was accepted without a standby: %+v, %v", sent, err)
	}
	without := time.Since(began)
	goOn()

	go func() { _ = alice.Run(t.Context()) }()
	later := bob.arrives(t, alice.name, "without a standby")
	bob.says(t, alice, "bob's last word")
	t.Logf("what was stored arrived after %v; nothing accepted for %v; the text that waited arrived %v after", took.Round(10*time.Millisecond), without.Round(10*time.Millisecond), later.Round(10*time.Millisecond))
	alice.checkArrivedAt(t, bob)
}
