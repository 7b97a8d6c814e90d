package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
)

// killPoints is how often a process is killed in each of the kill tests.
func killPoints() int { return machine.Count(12, 20, 100) }

// TestClientKilledAtRandomPoints: Alice and Bob write to each other, and their
// programs are killed again and again, while sending and while reading. No
// message key is ever used for two messages, and whatever the server accepted
// is there exactly once.
func TestClientKilledAtRandomPoints(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	server := startDaemon(t)
	wire, url := record(t, server.url())
	people := []*person{register(t, "alice", url), register(t, "bob", url)}
	people[0].must("send", "@bob", "first")
	people[1].must("read")
	people[1].must("send", "@alice", "first back")
	began := time.Now()
	people[0].must("read")
	first := time.Since(began)
	usual := []time.Duration{first, first} // of send and of read

	confirmed := []map[string]bool{{}, {}} // by sender
	killed := 0
	for i := 0; killed < killPoints() && i < 20*killPoints(); i++ {
		from := i / 2 % 2
		sender, receiver := people[from], people[1-from]
		takes := &usual[i%2]
		point := *takes/8 + time.Duration(random.Int64N(int64(*takes)))
		text, alive := fmt.Sprintf("%s writes number %d", sender.name, i), false
		if i%2 == 0 {
			alive = sender.killedAt(point, "send", "@"+receiver.name, text)
			confirmed[from][text] = alive
		} else {
			alive = receiver.killedAt(point, "read")
		}
		// Aim at the middle of a command however fast the machine is just now.
		if alive {
			*takes -= *takes / 10
		} else {
			*takes += *takes / 20
			killed++
		}
	}
	t.Logf("send and read take %v, %d were killed in the middle", usual, killed)
	if killed < killPoints() {
		t.Errorf("only %d commands were killed in time", killed)
	}
	settle(people)
	wire.checkNoKeyReuse(killPoints() / 10)
	for from, texts := range confirmed {
		checkShownOnce(t, people[1-from], people[from], texts)
	}
}

// killedAt starts a command and kills it after a time. It reports whether the
// command had succeeded before.
func (p *person) killedAt(point time.Duration, args ...string) (succeeded bool) {
	p.t.Helper()
	cmd := p.command(p.t.Context(), args...)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err == nil
	case <-time.After(point):
		_ = cmd.Process.Kill()
		return <-done == nil
	}
}

// settle lets both sides send and read until nothing is on its way.
func settle(people []*person) {
	for range 3 {
		for _, p := range people {
			p.must("read")
		}
	}
}

// checkShownOnce looks at everything the receiver has from the sender: every
// confirmed text once, and none twice.
func checkShownOnce(t *testing.T, receiver, sender *person, confirmed map[string]bool) {
	t.Helper()
	seen := receiver.texts(sender)
	for text, n := range seen {
		if n > 1 {
			t.Errorf("%q is there %d times", text, n)
		}
	}
	sure := 0
	for text, ok := range confirmed {
		if ok {
			sure++
		}
		if ok && seen[text] != 1 {
			t.Errorf("%q was accepted and is there %d times", text, seen[text])
		}
	}
	t.Logf("%s has %d texts from %s, %d of them confirmed to the sender", receiver.name, len(seen), sender.name, sure)
}
