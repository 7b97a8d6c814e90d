package pq3_test

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// accumulated are the hashes over the first thousand and over all ten thousand
// messages of a suite.
var accumulated = map[account.Suite][2]string{
	account.PQ3: {
		"d312153cdac32e9260f62da10a4d118167f7d9f0ce1a160ce3a15c1cbc98ace6bfd9b46f8d94e79a86b26ff03d6f55b8",
		"0cf5143f56974a3d4b866740c6206fd1fafc4b83491a034241f03637da91b47f6b4ec3f0b47a2afc29e1010b2367f81c",
	},
	account.PQ3A: {
		"33c80cacad867c5c6e2cf3ec6b5380a7e1b953a2f29a6dc0291bd67ef3184ae0a81c81d953d3bca23d1a45d5eaefd222",
		"469c9e8ac3d2992bb0d5402b78ebab20dfc8e557c417004d6892db716da6d5fd3752323a1f80aeed7704c3f6d3cf9edc",
	},
}

// stretch is one conversation by a fixed schedule, hashed as it goes.
type stretch struct {
	*pair
	sum     hash.Hash
	held    []heldBack
	sent    map[string]bool // texts that may still arrive
	arrived int
}

// heldBack is a message that later ones overtake.
type heldBack struct {
	to    *pq3test.Endpoint
	wire  []byte
	until int
}

// TestVectorsAccumulated plays 10,000 messages: a hundred in turns, a hundred
// in bursts of ten, a hundred mostly one way, a hundred in bursts of three, and
// again. Every eleventh is lost, every fifth is overtaken by up to three. The
// hash is over every message and every text as it arrives, and over both root
// keys at the end. In a short run the first thousand are compared.
func TestVectorsAccumulated(t *testing.T) {
	for _, suite := range bothSuites {
		t.Run(suite.String(), func(t *testing.T) {
			s := &stretch{newPair(t, pq3.Policy{}, suite), sha512.New384(), nil, map[string]bool{}, 0}
			s.play(0, 1000)
			s.compare("first 1,000", accumulated[suite][0])
			if testing.Short() {
				return
			}
			s.play(1000, 10000)
			s.finish()
			s.compare("all 10,000", accumulated[suite][1])
		})
	}
}

func (s *stretch) play(from, to int) {
	for i := from; i < to; i++ {
		sender := s.sender(i)
		text := fmt.Sprintf("message %d%s", i, strings.Repeat(".", i*37%700))
		wire := s.seal(sender, text)
		s.sum.Write(wire)
		if i%11 != 3 {
			s.sent[text] = true
			s.held = append(s.held, heldBack{s.peer(sender), wire, i + i%5/4*3})
		}
		s.release(i)
	}
}

// sender is the schedule.
func (s *stretch) sender(i int) *pq3test.Endpoint {
	var bob bool
	switch i / 100 % 4 {
	case 0:
		bob = i%2 == 1
	case 1:
		bob = i/10%2 == 1
	case 2:
		bob = i%10 == 9
	case 3:
		bob = i/3%2 == 1
	}
	if bob {
		return s.bob
	}
	return s.alice
}

// release delivers what is not held back any more.
func (s *stretch) release(now int) {
	var still []heldBack
	for _, h := range s.held {
		if h.until > now {
			still = append(still, h)
			continue
		}
		for _, text := range s.deliver(h.to, h.wire) {
			if !s.sent[text] {
				s.t.Fatalf("%.20q arrived twice, or was never sent", text)
			}
			delete(s.sent, text)
			s.arrived++
			s.sum.Write([]byte(text))
		}
	}
	s.held = still
}

func (s *stretch) finish() {
	s.release(1 << 30)
	if len(s.sent) > 0 {
		s.t.Errorf("%d messages neither lost nor arrived", len(s.sent))
	}
	for _, e := range []*pq3test.Endpoint{s.alice, s.bob} {
		root := pq3.RootKey(e.Sessions.Sending())
		s.sum.Write(root[:])
	}
}

func (s *stretch) compare(what, want string) {
	s.t.Helper()
	session := s.alice.Sessions.Sending()
	status := session.Status(s.now)
	s.t.Logf("%s: %d arrived, %d wait, epoch %d, %d rekeys", what, s.arrived, len(s.sent), status.Epoch, status.KEMRekeys)
	if got := hex.EncodeToString(s.sum.Sum(nil)); got != want {
		s.t.Errorf("%s: hash %s, want %s", what, got, want)
	}
}
