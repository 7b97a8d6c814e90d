package pq3_test

import (
	"testing"
	"time"

	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// TestStatusSaysWhoMustMove follows one rekey: while an advertised key is
// unanswered, or a rekey is due and only a change of direction can bring it,
// the peer has to move; who owes the answer does not wait.
func TestStatusSaysWhoMustMove(t *testing.T) {
	p := newPair(t, pq3.Policy{EveryMessages: 4})
	waits := func(e *pq3test.Endpoint) bool { return e.Sessions.Sending().Status(p.now).WaitingForPeer }
	p.say(p.alice, 1)
	if waits(p.alice) || waits(p.bob) {
		t.Error("nothing is due after one message")
	}
	p.say(p.alice, 4)
	if !waits(p.alice) || waits(p.bob) {
		t.Error("a rekey is due, and only an answer of bob's brings it")
	}
	advert := p.seal(p.bob, "advertises")
	if s := p.bob.Sessions.Sending(); !s.AwaitsAnswer() || !waits(p.bob) {
		t.Error("bob's key is unanswered")
	}
	p.deliver(p.alice, advert)
	if s := p.alice.Sessions.Sending(); s.AwaitsAnswer() || waits(p.alice) {
		t.Error("alice owes the answer and waits for nobody")
	}
	p.say(p.alice, 1)
	if s := p.bob.Sessions.Sending(); s.AwaitsAnswer() || waits(p.bob) || s.Status(p.now).KEMRekeys != 1 {
		t.Error("the answer ends the rekey")
	}
}

// TestHeartbeatIsDueWithTheDay: the limit belongs to the time after it.
func TestHeartbeatIsDueWithTheDay(t *testing.T) {
	p := newPair(t, pq3.Policy{Every: time.Hour})
	p.talk(1)
	s := p.alice.Sessions.Sending()
	due := s.Status(p.now).RekeyDue
	for _, c := range []struct {
		at   time.Time
		want bool
	}{{due.Add(-time.Millisecond), false}, {due, true}, {due.Add(time.Hour), true}, {due.Add(-2 * time.Hour), false}} {
		if s.HeartbeatDue(c.at) != c.want || s.RekeyDue(c.at) != c.want {
			t.Errorf("at %v from the limit: heartbeat %v, rekey %v", c.at.Sub(due), s.HeartbeatDue(c.at), s.RekeyDue(c.at))
		}
	}
}
