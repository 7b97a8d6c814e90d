package level3_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level3"
	"github.com/posthorn/posthorn/suite/seeded"
	"github.com/posthorn/posthorn/suite/suitetest"
)

func TestLevel3(t *testing.T) {
	suitetest.Run(t, level3.New(level3.Options{Suite: account.PQ3A, Policy: pq3.Policy{EveryMessages: 3}}))
}

func TestLevel3WithPQ3(t *testing.T) {
	suitetest.Run(t, level3.New(level3.Options{Suite: account.PQ3, Policy: pq3.Policy{EveryMessages: 3}}))
}

// TestRepeatedObjects: the comparison form carries on each message what the
// product carries at paced positions, and nothing waits.
func TestRepeatedObjects(t *testing.T) {
	count := func(repeat bool) (carried int) {
		l := level3.New(level3.Options{Suite: account.PQ3A, Repeat: repeat})
		w := suitetest.NewWorld(t, l, "repeat", "alice", "bob")
		w.Talk("alice", "bob")
		for range 10 {
			m := w.Talk("bob", "alice")
			a, err := l.Anatomy(m.Wire)
			if err != nil {
				t.Fatal(err)
			}
			if a.Rekey > 0 {
				carried++
			}
		}
		return carried
	}
	if paced, repeated := count(false), count(true); paced != 4 || repeated != 10 {
		t.Errorf("objects on %d and %d of 10 messages, want 4 and 10", paced, repeated)
	}
}

// TestNewSessionAfterSilence: after seven days without an answer the next
// message starts anew, from a bundle that must be fresh.
func TestNewSessionAfterSilence(t *testing.T) {
	l := level3.New(level3.Options{Suite: account.PQ3A})
	w := suitetest.NewWorld(t, l, "silence", "alice", "bob")
	first := w.Talk("alice", "bob")
	w.Now = w.Now.Add(8 * 24 * time.Hour)
	second := w.Talk("alice", "bob")
	a, errA := level3.ParseMessage(first.Wire)
	b, errB := level3.ParseMessage(second.Wire)
	if errA != nil || errB != nil || a.Session == b.Session || b.Epoch != 0 {
		t.Errorf("sessions %v and %v", a.Session, b.Session)
	}
	w.Now = w.Now.Add(31 * 24 * time.Hour)
	if _, _, err := w.Parties["alice"].Seal(w.Ent, w.Now, "bob", nil); !errors.Is(err, suite.ErrPrekey) || !errors.Is(err, pq3.ErrBundle) {
		t.Errorf("an expired bundle: %v", err)
	}
	w.Rotate("bob")
	w.Talk("alice", "bob")
	w.Talk("bob", "alice")
}

// TestOlderBundleRefused: a server that hands out a bundle from before the last
// one used, whose private half may have leaked since, starts no session.
func TestOlderBundleRefused(t *testing.T) {
	l := level3.New(level3.Options{Suite: account.PQ3A})
	w := suitetest.NewWorld(t, l, "older", "alice", "bob")
	_, old, err := w.Server.HandOut("bob")
	if err != nil {
		t.Fatal(err)
	}
	w.Now = w.Now.Add(time.Hour)
	w.Rotate("bob")
	w.Talk("alice", "bob")
	w.Restart("alice")
	withOld, err := w.Parties["alice"].Meet(w.Now, old)
	if err != nil {
		t.Fatal(err)
	}
	w.Now = w.Now.Add(8 * 24 * time.Hour)
	if _, _, err := withOld.Seal(w.Ent, w.Now, "bob", nil); !errors.Is(err, suite.ErrPrekey) {
		t.Errorf("got %v", err)
	}
	w.Talk("alice", "bob") // with the newer one it does
}

// TestPrekeysGo: the private half of a bundle is held until its retention has
// ended, and then no more.
func TestPrekeysGo(t *testing.T) {
	l := level3.New(level3.Options{Suite: account.PQ3A})
	w := suitetest.NewWorld(t, l, "prekeys", "alice", "bob")
	w.Talk("alice", "bob")
	held := func() int {
		s, err := level3.ParseState(w.Parties["bob"].State())
		if err != nil {
			t.Fatal(err)
		}
		return len(s.Prekeys)*10 + len(s.Starts)
	}
	w.Now = w.Now.Add(pq3.BundleLife)
	if w.Rotate("bob"); held() != 21 {
		t.Errorf("held %d", held())
	}
	w.Now = w.Now.Add(pq3.PrekeyRetention)
	if w.Rotate("bob"); held() != 20 {
		t.Errorf("held %d", held())
	}
}

// TestSupersededSessionsGo after 14 days.
func TestSupersededSessionsGo(t *testing.T) {
	l := level3.New(level3.Options{Suite: account.PQ3A})
	w := suitetest.NewWorld(t, l, "superseded", "alice", "bob")
	w.Deliver(w.Send("alice", "bob"))
	crossed := w.Send("alice", "bob")
	w.Now = w.Now.Add(8 * 24 * time.Hour)
	w.Talk("alice", "bob") // a second session
	sessions := func() int {
		s, err := level3.ParseState(w.Parties["bob"].State())
		if err != nil {
			t.Fatal(err)
		}
		return len(s.Peers[0].Sessions)
	}
	w.Restart("bob")
	if sessions() != 2 {
		t.Fatalf("%d sessions", sessions())
	}
	w.Deliver(crossed)
	w.Now = w.Now.Add(pq3.SupersededLife)
	w.Rotate("bob")
	if w.Talk("alice", "bob"); sessions() > 2 {
		t.Errorf("%d sessions", sessions())
	}
	s, err := level3.ParseState(w.Parties["bob"].State())
	if err != nil {
		t.Fatal(err)
	}
	for _, held := range s.Peers[0].Sessions {
		if held.Superseded == uint64(suitetest.Now.Add(8*24*time.Hour).UnixMilli()) {
			t.Error("a session superseded 14 days ago is still held")
		}
	}
}

// TestMeetRefusesAnotherAccount, and a bundle that its owner did not sign.
func TestMeetRefusesAnotherAccount(t *testing.T) {
	l := level3.New(level3.Options{Suite: account.PQ3A})
	w := suitetest.NewWorld(t, l, "meet", "alice", "bob")
	other := suitetest.NewWorld(t, l, "meet other", "alice", "bob")
	_, bundle, err := w.Server.HandOut("bob")
	if err != nil {
		t.Fatal(err)
	}
	_, foreign, err := other.Server.HandOut("bob")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Parties["alice"].Meet(w.Now, foreign); !errors.Is(err, suite.ErrSignature) {
		t.Errorf("another account: %v", err)
	}
	for i := 0; i < len(bundle); i += 7 {
		altered := bytes.Clone(bundle)
		altered[i] ^= 1
		if p, err := w.Parties["alice"].Meet(w.Now, altered); err == nil && i > 10 {
			t.Errorf("byte %d altered: met %s", i, p.Name())
		}
	}
}

// TestSameAsPQ3: the messages are those of pq3 itself, byte for byte, given the
// same state and entropy.
func TestSameAsPQ3(t *testing.T) {
	for _, s := range []account.Suite{account.PQ3, account.PQ3A} {
		sameAsPQ3(t, level3.New(level3.Options{Suite: s, Policy: pq3.Policy{EveryMessages: 2}}))
	}
}

func sameAsPQ3(t *testing.T, l *level3.Level3) {
	w := suitetest.NewWorld(t, l, "same", "alice", "bob")
	w.Talk("alice", "bob")
	for i := range 12 {
		from, to := "alice", "bob"
		if i%2 == 0 {
			from, to = to, from
		}
		session := restored(t, w.Parties[from].State())
		ent := seeded.New(fmt.Sprint("step ", i))
		w.Ent = seeded.New(fmt.Sprint("step ", i))
		m := w.Send(from, to)
		next, want, err := session.Seal(ent, w.Now, []byte(m.Text), nil)
		if err != nil || !bytes.Equal(m.Wire, want) {
			t.Fatalf("message %d differs: %v", i, err)
		}
		state, err := level3.ParseState(w.Parties[from].State())
		if err != nil || !bytes.Equal(state.Peers[0].Sessions[0].State, next.MarshalState()) {
			t.Fatalf("the state after message %d differs: %v", i, err)
		}
		w.Deliver(m)
	}
	if n := w.Parties["alice"].Rekeys("bob"); n < 3 {
		t.Errorf("%d rekeys in 12 messages", n)
	}
}

// restored is the first session of a seized device, made by pq3 alone.
func restored(t *testing.T, state []byte) *pq3.Session {
	t.Helper()
	s, err := level3.ParseState(state)
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.Seeds.SigningKey()
	if err != nil {
		t.Fatal(err)
	}
	self, err := level3.ParseOwner(s.Statement)
	if err != nil {
		t.Fatal(err)
	}
	me, err := pq3.NewIdentity(self, key)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := level3.ParseOwner(s.Peers[0].Statement)
	if err != nil {
		t.Fatal(err)
	}
	stored := s.Peers[0].Sessions[0]
	session, err := pq3.RestoreSession(me, peer, pq3.Policy{EveryMessages: 2}, stored.State, stored.Skipped)
	if err != nil {
		t.Fatal(err)
	}
	return session
}
