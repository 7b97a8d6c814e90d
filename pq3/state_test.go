package pq3_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// stages are sessions in every shape that a state can have.
func stages(t *testing.T, suite account.Suite) map[string]*pq3.Session {
	p := newPair(t, pq3.Policy{}, suite)
	all := map[string]*pq3.Session{}
	p.seal(p.alice, "lost")
	first := p.seal(p.alice, "arrives")
	all["starting"] = p.alice.Sessions.Sending()
	p.deliver(p.bob, first)
	all["started, one skipped"] = p.bob.Sessions.Sending()
	advert := p.seal(p.bob, "advertises")
	all["advertising"] = p.bob.Sessions.Sending()
	p.deliver(p.alice, advert)
	all["owes an answer"] = p.alice.Sessions.Sending()
	p.deliver(p.bob, p.seal(p.alice, "answers"))
	all["rekeyed"] = p.bob.Sessions.Sending()
	return all
}

// restorer reads stored states of one end of a session. Its keys are made once.
func restorer(s *pq3.Session) func(state, skipped []byte) (*pq3.Session, error) {
	me, peer := pq3test.NewIdentity("alice", s.Status(pq3test.Now).Suite), pq3test.NewIdentity("bob", s.Status(pq3test.Now).Suite)
	if s.Peer().Account == me.Party().Account {
		me, peer = peer, me
	}
	return func(state, skipped []byte) (*pq3.Session, error) {
		return pq3.RestoreSession(me, peer.Party(), pq3.Policy{}, state, skipped)
	}
}

func TestStateSurvivesStorage(t *testing.T) {
	for _, suite := range bothSuites {
		for name, s := range stages(t, suite) {
			state, skipped := s.MarshalState(), s.MarshalSkipped()
			again, err := restorer(s)(state, skipped)
			if err != nil {
				t.Errorf("%s %s: %v", suite, name, err)
				continue
			}
			if !bytes.Equal(again.MarshalState(), state) || !bytes.Equal(again.MarshalSkipped(), skipped) {
				t.Errorf("%s %s: restored to another state", suite, name)
			}
		}
	}
}

func TestV61DamagedOrForeignStateRefused(t *testing.T) {
	for name, s := range stages(t, account.PQ3A) {
		state, skipped, restore := s.MarshalState(), s.MarshalSkipped(), restorer(s)
		for n := range len(state) {
			if _, err := restore(state[:n], skipped); err == nil {
				t.Errorf("%s: state accepted after %d of %d bytes", name, n, len(state))
			}
		}
		for _, bad := range [][]byte{append(bytes.Clone(state), 0), flipped(state, 0), flipped(state, 5)} {
			_, err := restore(bad, skipped)
			wantRefusal(t, err, "V-61", pq3.ErrState)
		}
		for n := 1; n < len(skipped); n++ {
			_, err := restore(state, skipped[:n])
			wantRefusal(t, err, "V-61", pq3.ErrState)
		}
	}
	starting := stages(t, account.PQ3)["starting"]
	if _, err := restorer(starting)(pq3.InEpoch(starting, 0).MarshalState(), nil); err != nil {
		t.Errorf("control: %v", err)
	}
	_, err := restorer(starting)(pq3.InEpoch(starting, 2).MarshalState(), nil)
	wantRefusal(t, err, "V-61", pq3.ErrState) // who has received nothing is in epoch 0
	p := newPair(t, pq3.Policy{})
	p.talk(1)
	s := p.alice.Sessions.Sending()
	_, err = pq3.RestoreSession(p.alice.Identity, pq3test.NewIdentity("carol").Party(), pq3.Policy{}, s.MarshalState(), nil)
	wantRefusal(t, err, "V-61", pq3.ErrState)
}

// TestStateIsSmall: a session at rest without outstanding objects takes less
// than 1 KB, and 1,000 skipped keys less than 64 KB.
func TestStateIsSmall(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.talk(3)
	if n := len(p.alice.Sessions.Sending().MarshalState()); n > 1024 {
		t.Errorf("%d bytes of state", n)
	}
	for range 5 {
		for range 255 { // the next one carries the objects again
			p.seal(p.alice, "lost")
		}
		p.say(p.alice, 1)
		p.say(p.bob, 1)
	}
	skipped := p.bob.Sessions.Sending().MarshalSkipped()
	t.Logf("1,275 lost messages leave %d bytes of skipped keys", len(skipped))
	if len(skipped) < 48_000 || len(skipped) > 64<<10 {
		t.Errorf("1,275 lost messages leave %d bytes of skipped keys", len(skipped))
	}
}

func TestV67DamagedPrekeyRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	other, err := pq3.NewPrekey(p.bob.Identity, account.PQ3A, p.now, p.now.Add(time.Hour), p.bob.Ent)
	if err != nil {
		t.Fatal(err)
	}
	stored := other.Marshal()
	again, err := pq3.ParsePrekey(stored)
	if err != nil || !bytes.Equal(again.Marshal(), stored) {
		t.Fatalf("round trip: %v", err)
	}
	for _, bad := range [][]byte{nil, stored[:90], append(bytes.Clone(stored), 0), flipped(stored, 0), flipped(stored, 5), flipped(stored, 40), flipped(stored, 200)} {
		_, err := pq3.ParsePrekey(bad)
		wantRefusal(t, err, "V-67", pq3.ErrState)
	}
}
