package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/server/bus/bustest"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// cluster is the whole clustered form: a PostgreSQL primary with two standbys
// of which one must have every commit, a NATS server, and three nodes. The
// third reaches the bus through a door that can be shut.
type cluster struct {
	t        *testing.T
	primary  *pgtest.Cluster
	standbys [2]*pgtest.Cluster
	nats     *bustest.Server
	bus      *door
	nodes    []*daemon
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, primary: pgtest.New(t), nats: bustest.Start(t)}
	folders, ports := c.primary.Folder(), "5432"
	for i := range c.standbys {
		c.standbys[i] = c.primary.Standby(t, fmt.Sprint("standby", i))
		folders, ports = folders+","+c.standbys[i].Folder(), ports+",5432"
	}
	c.primary.Exec(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby0, standby1)'")
	c.primary.Exec(t, "postgres", "SELECT pg_reload_conf()")
	c.bus = newDoor(t, &daemon{address: strings.TrimPrefix(c.nats.URL(), "nats://")})
	for i := range 3 {
		between := c.nats.URL()
		if i == 2 {
			between = strings.Replace(c.bus.url(), "http", "nats", 1)
		}
		c.nodes = append(c.nodes, startDaemon(t, "--store", "postgres:///postgres?user=posthorn&host="+folders+"&port="+ports, "--bus", between))
	}
	return c
}

// promote makes the standby that has the most the primary, and puts it first.
func (c *cluster) promote() {
	c.t.Helper()
	if c.received(c.standbys[1]) > c.received(c.standbys[0]) {
		c.standbys[0], c.standbys[1] = c.standbys[1], c.standbys[0]
	}
	best := c.standbys[0]
	best.Exec(c.t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = ''")
	best.Promote(c.t)
	best.Exec(c.t, "postgres", "SELECT pg_reload_conf()")
}

// rejoin makes the other standby follow the promoted one, which then confirms
// nothing without it.
func (c *cluster) rejoin() {
	c.t.Helper()
	primary, standby := c.standbys[0], c.standbys[1]
	standby.Follow(c.t, primary, "again")
	primary.Exec(c.t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (again)'")
	primary.Exec(c.t, "postgres", "SELECT pg_reload_conf()")
	const quorum = "DO $$ BEGIN FOR i IN 1..6000 LOOP IF EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'quorum' AND state = 'streaming') THEN RETURN; END IF; PERFORM pg_sleep(0.05); END LOOP; RAISE 'no standby makes the quorum'; END $$"
	primary.Exec(c.t, "postgres", quorum)
}

// received is how much of the primary's log a standby has.
func (c *cluster) received(s *pgtest.Cluster) (bytes int64) {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), s.URL("postgres"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close(c.t.Context())
	if err := conn.QueryRow(c.t.Context(), "SELECT (pg_last_wal_receive_lsn() - '0/0')::bigint").Scan(&bytes); err != nil {
		c.t.Fatal(err)
	}
	return bytes
}

// hang stops a process and its children for a while.
func (c *cluster) hang(pid int, while time.Duration) {
	c.t.Helper()
	goOn := c.halt(pid)
	time.Sleep(while)
	goOn()
}

// halt stops processes and their children until goOn is called.
func (c *cluster) halt(pids ...int) (goOn func()) {
	c.t.Helper()
	var all []int
	for _, pid := range pids {
		all = append(append(all, childrenOf(c.t, pid)...), pid)
	}
	signal := func(s syscall.Signal) {
		for _, p := range all {
			_ = syscall.Kill(p, s)
		}
	}
	signal(syscall.SIGSTOP)
	return sync.OnceFunc(func() { signal(syscall.SIGCONT) })
}

// childrenOf lists the processes that a process has started.
func childrenOf(t *testing.T, pid int) (children []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text), ") ") // the name may hold anything
		if fields := strings.Fields(after); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(strings.Split(stat, "/")[2])
			children = append(children, child)
		}
	}
	return children
}

// stopwatch notes the longest time between two accepted texts.
type stopwatch struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
}

func (s *stopwatch) accepted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.longest, s.last = max(s.longest, time.Since(s.last)), time.Now()
}

// lap is the longest gap since the last lap, the one that still lasts included.
func (s *stopwatch) lap() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	longest := max(s.longest, time.Since(s.last))
	s.longest = 0
	return longest
}

// leastLoad is how many accepted texts are a load.
const leastLoad = 20

// writeSteadily sends numbered texts at a bounded rate, and stops the gaps. It
// goes on after ctx where a slow machine has not made a load of them by then.
func (e *engine) writeSteadily(ctx context.Context, to account.Name, watch *stopwatch) {
	accepted := 0
	for i := 0; ctx.Err() == nil || accepted < leastLoad && i < 10*leastLoad; i++ {
		text := fmt.Sprintf("%s %d", e.name, i)
		sent, err := e.Send(context.WithoutCancel(ctx), to, text)
		e.mu.Lock()
		e.written++
		e.accepted[text] = err == nil && sent.Accepted
		e.mu.Unlock()
		if err == nil && sent.Accepted {
			accepted++
			watch.accepted()
		}
		time.Sleep(20 * time.Millisecond)
		if errors.Is(err, client.ErrOffline) {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// TestClusterFaults: each part of the clustered form is killed, hung or cut off
// in turn while two people write to each other. Nothing that was accepted is
// lost or comes twice, and the longest time without an acceptance is told.
func TestClusterFaults(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	left, right := newDoor(t, c.nodes[0]), newDoor(t, c.nodes[2])
	alice, bob := enlist(t, "alice", left.url()), enlist(t, "bob", right.url())
	ctx, endLoad := context.WithCancel(t.Context())
	defer endLoad()
	watch := &stopwatch{last: time.Now()}
	var load sync.WaitGroup
	for _, pair := range [][2]*engine{{alice, bob}, {bob, alice}} {
		load.Go(func() { pair[0].writeSteadily(ctx, pair[1].name, watch) })
		go func() { _ = pair[0].Run(t.Context()) }()
	}
	alice.says(t, bob, "the load has begun")
	longest := time.Duration(0)
	for _, fault := range c.faults(left) {
		watch.lap()
		fault.do()
		there := alice.says(t, bob, "alice's word: "+fault.name)
		back := bob.says(t, alice, "bob's word: "+fault.name)
		gap := watch.lap()
		longest = max(longest, gap)
		t.Logf("%-36s longest gap between acceptances %6v, a text then takes %6v and %6v", fault.name, gap.Round(10*time.Millisecond), there.Round(10*time.Millisecond), back.Round(10*time.Millisecond))
	}
	endLoad()
	load.Wait()
	alice.says(t, bob, "alice's last word")
	bob.says(t, alice, "bob's last word")
	alice.checkArrivedAt(t, bob)
	bob.checkArrivedAt(t, alice)
	t.Logf("the longest gap of all: %v", longest.Round(10*time.Millisecond))
	if bound := 2 * time.Minute; longest > bound { // each fault lasts some seconds
		t.Errorf("nothing was accepted for more than %v", bound)
	}
}

type fault struct {
	name string
	do   func()
}

// faults are in an order in which each finds what it breaks whole.
func (c *cluster) faults(alice *door) []fault {
	const while = 6 * time.Second
	return []fault{
		{"a standby is killed", func() { c.standbys[0].Kill() }},
		{"the standby is back", func() { c.standbys[0].Start(c.t) }},
		{"a standby hangs", func() { c.hang(c.standbys[1].PID(), while) }},
		{"the primary hangs", func() { c.hang(c.primary.PID(), while) }},
		{"alice's node hangs", func() { c.hang(c.nodes[0].process.Process.Pid, while) }},
		{"alice's node is killed", func() { c.nodes[0].kill(); alice.lead(c.nodes[1]) }},
		{"the node is back", func() { c.nodes[0].start(); alice.lead(c.nodes[0]) }},
		{"bob's node is cut off from the bus", func() { c.bus.shut(true); time.Sleep(while) }},
		{"bob's node has the bus again", func() { c.bus.shut(false) }},
		{"the bus hangs", func() { c.nats.Pause(); time.Sleep(while); c.nats.Resume() }},
		{"the bus is killed", func() { c.nats.Kill() }},
		{"the bus is back", func() { c.nats.Restart() }},
		{"the primary is killed, one promoted", func() { c.primary.Kill(); c.promote() }},
		{"the other standby follows it", c.rejoin},
	}
}
