package pq3_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

var bothSuites = []account.Suite{account.PQ3, account.PQ3A}

// pair is Alice and Bob and the time between them.
type pair struct {
	t          *testing.T
	alice, bob *pq3test.Endpoint
	now        time.Time
}

func newPair(t *testing.T, policy pq3.Policy, suites ...account.Suite) *pair {
	t.Helper()
	return &pair{t, pq3test.NewEndpoint("alice", policy, suites...), pq3test.NewEndpoint("bob", policy, suites...), pq3test.Now}
}

func (p *pair) peer(of *pq3test.Endpoint) *pq3test.Endpoint {
	if of == p.alice {
		return p.bob
	}
	return p.alice
}

// seal makes one message a second later.
func (p *pair) seal(from *pq3test.Endpoint, text string) []byte {
	p.t.Helper()
	p.now = p.now.Add(time.Second)
	wire, err := from.Send(p.peer(from), p.now, text, 0)
	if err != nil {
		p.t.Fatalf("seal %q: %v", text, err)
	}
	return wire
}

// deliver opens a message that must be good.
func (p *pair) deliver(to *pq3test.Endpoint, wire []byte) []string {
	p.t.Helper()
	texts, err := to.Receive(p.peer(to), p.now, wire)
	if err != nil {
		p.t.Fatalf("deliver: %v", err)
	}
	return texts
}

// say seals and delivers n messages in one direction and returns their bytes.
func (p *pair) say(from *pq3test.Endpoint, n int) (wires [][]byte) {
	p.t.Helper()
	for i := range n {
		wires = append(wires, p.seal(from, fmt.Sprintf("text %d", i)))
		p.deliver(p.peer(from), wires[i])
	}
	return wires
}

// talk is a few changes of direction, so that both ends have keys of all kinds.
func (p *pair) talk(rounds int) {
	p.t.Helper()
	for range rounds {
		p.say(p.alice, 1)
		p.say(p.bob, 1)
	}
}

// refuses delivers a message that must be refused by one check, and asks that
// the receiver's stored state stays as it was to the last byte.
func (p *pair) refuses(to *pq3test.Endpoint, wire []byte, check string, sentinel error) {
	p.t.Helper()
	before := to.Fingerprint()
	_, err := receiveOne(to, p.peer(to), p.now, wire)
	wantRefusal(p.t, err, check, sentinel)
	if to.Fingerprint() != before {
		p.t.Errorf("%s: a refusal changed the state", check)
	}
}

// receiveOne opens a message without the waiting buffer.
func receiveOne(to, from *pq3test.Endpoint, now time.Time, wire []byte) (string, error) {
	m, err := pq3.ParseMessage(wire)
	if err != nil {
		return "", err
	}
	if s := to.Sessions.Find(m.Session()); s != nil {
		_, plaintext, err := s.Open(now, m)
		return string(plaintext), err
	}
	accepted, err := pq3.Accept(to.Identity, from.Party(), m, pq3.AcceptOptions{Policy: to.Policy, Prekeys: to.Prekeys, Replays: to.Replays}, now)
	if err != nil {
		return "", err
	}
	return string(accepted.Plaintext), nil
}

func wantRefusal(t *testing.T, err error, check string, sentinel error) {
	t.Helper()
	var refusal *pq3.Error
	if !errors.As(err, &refusal) || refusal.Check != check || !errors.Is(err, sentinel) {
		t.Errorf("got %v, want %s %v", err, check, sentinel)
	}
}

// forge changes a message as somebody with all of the sender's signing keys,
// and none of its session secrets, can.
func (p *pair) forge(from *pq3test.Endpoint, wire []byte, change func(*pq3.Fields)) []byte {
	return pq3.Forge(from.Identity, p.peer(from).Party(), wire, change)
}
