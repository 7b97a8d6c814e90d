package bench

import (
	"errors"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// row is one operation of the core and its floor. Each function does the whole
// operation once; sessions never change, so it can be repeated from one state.
type row struct {
	name  string
	ours  func()
	floor func()
	most  float64 // the ratio that must not be exceeded; 0: reported only
}

var (
	suites = []account.Suite{account.PQ3, account.PQ3A}
	sizes  = []int{100, 4096}
)

const (
	mostRatio      = 1.15 // ours over the floor
	mostSuiteRatio = 1.10 // PQ3A over PQ3
)

// conversation is Alice and Bob at the moments that the rows start from.
type conversation struct {
	suite      account.Suite
	alice, bob *pq3test.Endpoint
	now        time.Time
	ent        pq3.Entropy
	floor      *floor
}

func newConversation(suite account.Suite) *conversation {
	c := &conversation{
		suite: suite, now: pq3test.Now, ent: pq3.SystemEntropy(),
		alice: pq3test.NewEndpoint("alice", pq3.Policy{}, suite), bob: pq3test.NewEndpoint("bob", pq3.Policy{}, suite),
	}
	c.alice.Ent, c.bob.Ent = c.ent, c.ent
	c.floor = newFloor(suite)
	return c
}

// say delivers n messages from one end to the other.
func (c *conversation) say(from, to *pq3test.Endpoint, n int) {
	for range n {
		c.deliver(from, to, c.seal(from, to, "text"))
	}
}

func (c *conversation) seal(from, to *pq3test.Endpoint, text string) []byte {
	return must(from.Send(to, c.now, text, 0))
}

func (c *conversation) deliver(from, to *pq3test.Endpoint, wire []byte) {
	must(to.Receive(from, c.now, wire))
}

// settle plays past the start and its rekeys, so that nothing is outstanding
// and Alice has the sending role.
func (c *conversation) settle() *conversation {
	for range 3 {
		c.say(c.alice, c.bob, 1)
		c.say(c.bob, c.alice, 1)
	}
	c.say(c.alice, c.bob, 1)
	if s := c.alice.Sessions.Sending(); s.AwaitsAnswer() || c.bob.Sessions.Sending().OwesAnswer() {
		panic("bench: a rekey is outstanding")
	}
	return c
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Errorf("bench: %w", err))
	}
	return v
}

// allRows are the rows of one suite.
func allRows(suite account.Suite) (rows []row) {
	rows = append(rows, bundleRows(suite)...)
	rows = append(rows, startRows(suite)...)
	for _, size := range sizes {
		rows = append(rows, streamRows(suite, size)...)
		rows = append(rows, turnRows(suite, size)...)
	}
	rows = append(rows, rekeyRows(suite)...)
	rows = append(rows, skipRows(suite)...)
	rows = append(rows, fanOutRow(suite))
	return append(rows, stateRows(suite)...)
}

func bundleRows(suite account.Suite) []row {
	c := newConversation(suite)
	wire, owner := c.bob.Bundle().Marshal(), c.bob.Party()
	return []row{
		{"bundle: make", func() {
			must(pq3.NewPrekey(c.bob.Identity, suite, c.now, c.now.Add(pq3.BundleLife), c.ent))
		}, c.floor.makeBundle, mostRatio},
		{"bundle: parse and verify", func() {
			check(must(account.ParseBundle(wire)).Verify(owner, c.now))
		}, c.floor.verifyBundle, mostRatio},
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func startRows(suite account.Suite) []row {
	c := newConversation(suite)
	text := make([]byte, 100)
	bundle, peer := c.bob.Bundle(), c.bob.Party()
	start := func() []byte {
		s := must(pq3.Initiate(c.alice.Identity, peer, bundle, pq3.InitiateOptions{}, c.now, c.ent))
		_, wire, err := s.Seal(c.ent, c.now, text, nil)
		return must(wire, err)
	}
	wire := start()
	o := pq3.AcceptOptions{Prekeys: c.bob.Prekeys, Replays: c.bob.Replays}
	return []row{
		{"start: verify bundle, initiate, seal", func() { start() }, c.floor.initiate(len(wire)), mostRatio},
		{"start: accept", func() {
			must(pq3.Accept(c.bob.Identity, c.alice.Party(), must(pq3.ParseMessage(wire)), o, c.now))
		}, c.floor.accept(len(wire)), mostRatio},
	}
}

// sealRow and openRow are the two halves of one message from a given state.
func (c *conversation) sealRow(name string, s *pq3.Session, text []byte, floor func()) row {
	buffer := make([]byte, 0, 16<<10)
	return row{name, func() {
		_, _, err := s.AppendSeal(buffer, c.ent, c.now, text, nil, 0)
		check(err)
	}, floor, mostRatio}
}

func (c *conversation) openRow(name string, s *pq3.Session, wire []byte, floor func()) row {
	return row{name, func() {
		_, _, err := s.Open(c.now, must(pq3.ParseMessage(wire)))
		check(err)
	}, floor, mostRatio}
}

func streamRows(suite account.Suite, size int) []row {
	c := newConversation(suite).settle()
	text := make([]byte, size)
	wire := c.seal(c.alice, c.bob, string(text))
	name := fmt.Sprintf("stream, %d B: ", size)
	return []row{
		c.sealRow(name+"seal", c.alice.Sessions.Sending(), text, c.floor.sealStream(len(wire))),
		c.openRow(name+"open", c.bob.Sessions.Sending(), wire, c.floor.openStream(len(wire))),
	}
}

// turnRows are messages that change the direction: ping-pong.
func turnRows(suite account.Suite, size int) []row {
	c := newConversation(suite).settle()
	text := make([]byte, size)
	wire := c.seal(c.bob, c.alice, string(text))
	replying := newConversation(suite).settle()
	s := replying.bob.Sessions.Sending()
	name := fmt.Sprintf("ping-pong, %d B: ", size)
	rows := []row{
		replying.sealRow(name+"seal", s, text, c.floor.sealTurn(len(wire), 0)),
		c.openRow(name+"open", c.alice.Sessions.Sending(), wire, c.floor.openTurn(len(wire), 0)),
	}
	if size == sizes[0] {
		prepared := must(s.Prepare(c.ent))
		rows = append(rows,
			replying.sealRow(name+"seal, prepared", prepared, text, c.floor.sealStream(len(wire))),
			row{name + "prepare", func() { must(s.Prepare(c.ent)) }, c.floor.prepare, mostRatio})
	}
	return rows
}

// rekeyRows are a change of direction that answers a KEM key and advertises
// another one.
func rekeyRows(suite account.Suite) []row {
	c := newConversation(suite)
	c.say(c.alice, c.bob, 1)
	c.say(c.bob, c.alice, 1) // advertises
	text := make([]byte, 100)
	s := c.alice.Sessions.Sending()
	_, wire, err := s.SealWith(c.ent, c.now, text, nil, pq3.ForceAdvertise)
	check(err)
	seal := c.sealRow("rekey, 100 B: seal", s, text, c.floor.sealTurn(len(wire), 2))
	buffer := make([]byte, 0, 16<<10)
	seal.ours = func() {
		_, _, err := s.AppendSeal(buffer, c.ent, c.now, text, nil, pq3.ForceAdvertise)
		check(err)
	}
	return []row{seal, c.openRow("rekey, 100 B: open", c.bob.Sessions.Sending(), wire, c.floor.openTurn(len(wire), 2))}
}

// skipRows are messages that overtake others, and overtaken ones.
func skipRows(suite account.Suite) []row {
	c := newConversation(suite).settle()
	c.say(c.bob, c.alice, 1)
	before := c.bob.Sessions.Sending()
	_, last := c.overtake(500)
	far := c.openRow("open after 499 missing", before, last, c.floor.openAfter(499, len(last)))

	c = newConversation(suite).settle()
	var overtaken [][]byte
	for range 4 { // 1,020 keys are put aside
		c.say(c.bob, c.alice, 1)
		overtaken, _ = c.overtake(256)
	}
	full := c.bob.Sessions.Sending()
	next := c.seal(c.alice, c.bob, "text")
	return []row{
		far,
		c.openRow("1,020 skipped: open one", full, overtaken[100], c.floor.openKnown(len(overtaken[100]))),
		c.openRow("1,020 skipped: open the next", full, next, c.floor.openStream(len(next))),
	}
}

// overtake sends n messages on a new chain of Alice's and delivers the last,
// which carries the chain's objects if it has any and n is a power of two.
func (c *conversation) overtake(n int) (overtaken [][]byte, last []byte) {
	for range n - 1 {
		overtaken = append(overtaken, c.seal(c.alice, c.bob, "text"))
	}
	last = c.seal(c.alice, c.bob, "text")
	c.deliver(c.alice, c.bob, last)
	return overtaken, last
}

// fanOutRow seals one text for 100 devices.
func fanOutRow(suite account.Suite) row {
	c := newConversation(suite).settle()
	text, s := make([]byte, 100), c.alice.Sessions.Sending()
	sessions := make([]*pq3.Session, 100)
	for i := range sessions {
		sessions[i] = must(pq3.RestoreSession(c.alice.Identity, c.bob.Party(), pq3.Policy{}, s.MarshalState(), nil))
	}
	_, wire, err := s.Seal(c.ent, c.now, text, nil)
	check(err)
	one := c.floor.sealStream(len(wire))
	buffer := make([]byte, 0, 100*len(wire))
	return row{"fan-out to 100 devices, 100 B: seal", func() {
		out := buffer
		for _, s := range sessions {
			var err error
			_, out, err = s.AppendSeal(out, c.ent, c.now, text, nil, 0)
			check(err)
		}
	}, func() {
		for range sessions {
			one()
		}
	}, mostRatio}
}

var errState = errors.New("bench: another state came back")

// stateRows are what storage costs around a message.
func stateRows(suite account.Suite) []row {
	c := newConversation(suite).settle()
	s := c.alice.Sessions.Sending()
	state := s.MarshalState()
	return []row{
		{"state: encode", func() {
			if len(s.MarshalState()) != len(state) {
				panic(errState)
			}
		}, nil, 0},
		{"state: decode", func() {
			must(pq3.RestoreSession(c.alice.Identity, c.bob.Party(), pq3.Policy{}, state, nil))
		}, c.floor.decode, 0},
	}
}
