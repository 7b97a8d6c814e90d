package pq3_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// drawn is chance by rapid, which shrinks what fails.
type drawn struct{ *rapid.T }

func (d drawn) below(n int, what string) int { return rapid.IntRange(0, n-1).Draw(d.T, what) }

// TestTwoPartiesUnderAnySchedule is the property behind all others: invariants
// I1 to I5, I7 and I9 under loss, reordering, repetition, crossing and restarts.
// At the end the network heals and a conversation works.
func TestTwoPartiesUnderAnySchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(drawn{t}, func(name string, policy pq3.Policy, suite account.Suite) *pq3test.Endpoint {
			return pq3test.NewEndpoint(name, policy, suite)
		})
		actions := map[string]func(*rapid.T){}
		for _, operation := range operations {
			actions[operation.name] = func(t *rapid.T) {
				w.chance = drawn{t}
				operation.do(w)
			}
		}
		t.Repeat(actions)
		w.chance = drawn{t}
		w.heal()
	})
}

// TestHealingContract: a KEM rekey completes in the number of messages that
// the policy states, with one reply for each message.
func TestHealingContract(t *testing.T) {
	for _, every := range []int{1, 3, 10, 50} {
		p := newPair(t, pq3.Policy{EveryMessages: every}, account.PQ3A)
		p.talk(2)
		start := p.alice.Sessions.Sending().Status(p.now).KEMRekeys
		p.talk(every + 2)
		done := p.alice.Sessions.Sending().Status(p.now).KEMRekeys - start
		if want := 2 * (every + 2) / (every + 2); done < want-1 || done < 1 {
			t.Errorf("interval %d: %d rekeys in %d messages", every, done, 2*(every+2))
		}
	}
}
