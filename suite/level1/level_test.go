package level1_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level1"
	"github.com/posthorn/posthorn/suite/suitetest"
)

func TestLevel1(t *testing.T) { suitetest.Run(t, level1.New()) }

func newWorld(t suitetest.T, seed string) *suitetest.World {
	return suitetest.NewWorld(t, level1.New(), seed, "alice", "bob")
}

func stateOf(t testing.TB, w *suitetest.World, name string) *level1.State {
	t.Helper()
	s, err := level1.ParseState(w.Parties[name].State())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parse(t testing.TB, m *suitetest.Mail) *level1.Message {
	t.Helper()
	parsed, err := level1.ParseMessage(m.Wire)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestOneTimePrekeys: each caller gets another, the message that uses one
// erases it, and when none is left a start goes without.
func TestOneTimePrekeys(t *testing.T) {
	w := newWorld(t, "one time")
	before := len(stateOf(t, w, "bob").OneTime)
	first := w.Talk("alice", "bob")
	if after := len(stateOf(t, w, "bob").OneTime); before != 10 || after != 9 {
		t.Errorf("%d one-time prekeys before and %d after a start", before, after)
	}
	handed := map[uint32]bool{*parse(t, first).Start.OneTimeID: true}
	for range 9 { // alice has taken the first
		server, bundle, err := w.Server.HandOut("bob")
		if err != nil {
			t.Fatal(err)
		}
		w.Server = server
		record, err := level1.ParseRecord(bundle)
		if err != nil || len(record.OneTime) != 1 || handed[record.OneTime[0].ID] {
			t.Fatalf("handed out %+v, %v", record, err)
		}
		handed[record.OneTime[0].ID] = true
	}
	lone := newWorld(t, "none left")
	for range 12 {
		lone.Fetch("alice", "bob")
	}
	m := lone.Talk("alice", "bob")
	if parse(t, m).Start.OneTimeID != nil {
		t.Error("a twelfth one-time prekey")
	}
	lone.Refused("bob", "alice", m.Wire, "a start without a one-time prekey, again")
}

// TestReplayedStart is refused when its session is long forgotten.
func TestReplayedStart(t *testing.T) {
	w := newWorld(t, "replay")
	for range 12 {
		w.Fetch("alice", "bob") // so that no one-time prekey stops it
	}
	fresh := w.Parties["alice"]
	m := w.Talk("alice", "bob")
	for i := range 5 { // as many new sessions as push the first one out
		w.Ent.Read(make([]byte, i+1))
		w.Parties["alice"] = fresh
		w.Talk("alice", "bob")
	}
	if n := len(stateOf(t, w, "bob").Peers[0].Sessions); n != 4 {
		t.Fatalf("%d sessions", n)
	}
	if _, _, err := w.Parties["bob"].Open(w.Now, "alice", m.Wire); !errors.Is(err, suite.ErrReplay) {
		t.Errorf("got %v", err)
	}
}

// TestStartsUntilAnswered: the values of a start ride along until the peer has
// answered, and no longer.
func TestStartsUntilAnswered(t *testing.T) {
	w := newWorld(t, "answered")
	w.Send("alice", "bob") // lost
	if m := w.Talk("alice", "bob"); parse(t, m).Start == nil {
		t.Error("a message before the answer has no start")
	}
	if m := w.Talk("bob", "alice"); parse(t, m).Start != nil {
		t.Error("the answer has a start")
	}
	if m := w.Talk("alice", "bob"); parse(t, m).Start != nil {
		t.Error("a message after the answer has a start")
	}
}

// TestOldPrekeysGo, and the record of starts with them.
func TestOldPrekeysGo(t *testing.T) {
	w := newWorld(t, "old")
	w.Talk("alice", "bob")
	for range 4 {
		w.Now = w.Now.Add(31 * 24 * time.Hour)
		w.Rotate("bob")
	}
	s := stateOf(t, w, "bob")
	if len(s.Prekeys) != 2 || len(s.Starts) != 0 || len(s.OneTime) != 30 {
		t.Errorf("%d prekeys, %d starts, %d one-time prekeys", len(s.Prekeys), len(s.Starts), len(s.OneTime))
	}
	w.Talk("alice", "bob")
}

// TestMeetVerifies the record's signature and the identity.
func TestMeetVerifies(t *testing.T) {
	w := newWorld(t, "meet")
	_, bundle, err := w.Server.HandOut("bob")
	if err != nil {
		t.Fatal(err)
	}
	signed := len(bundle) - 1 - 36
	for i := range signed {
		altered := bytes.Clone(bundle)
		altered[i] ^= 1
		if _, err := w.Parties["alice"].Meet(w.Now, altered); err == nil {
			t.Errorf("byte %d altered: met", i)
		}
	}
	_, foreign, err := newWorld(t, "another").Server.HandOut("bob")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Parties["alice"].Meet(w.Now, foreign); !errors.Is(err, suite.ErrSignature) {
		t.Errorf("another identity: %v", err)
	}
}

// TestSkipLimits: neither a far index nor many small gaps take memory without
// bound, and skipped keys do not live for ever.
func TestSkipLimits(t *testing.T) {
	w := newWorld(t, "skip")
	w.Talk("alice", "bob")
	late := w.Send("alice", "bob")
	for range 999 {
		w.Send("alice", "bob")
	}
	far := w.Send("alice", "bob")
	w.Deliver(far) // exactly 1,000 skipped
	if n := len(stateOf(t, w, "bob").Peers[0].Sessions[0].Ratchet.Skipped); n != 1000 {
		t.Errorf("%d skipped keys", n)
	}
	for range 1001 {
		w.Send("alice", "bob")
	}
	if _, _, err := w.Parties["bob"].Open(w.Now, "alice", w.Send("alice", "bob").Wire); !errors.Is(err, suite.ErrLimit) {
		t.Errorf("1,001 skipped at once: %v", err)
	}
	w.Now = w.Now.Add(15 * 24 * time.Hour)
	w.Refused("bob", "alice", late.Wire, "a message that was skipped 15 days ago")
}

func TestLimits(t *testing.T) {
	w := newWorld(t, "limits")
	if _, _, err := w.Parties["alice"].Seal(w.Ent, w.Now, "bob", make([]byte, level1.MaxText+1)); !errors.Is(err, suite.ErrLimit) {
		t.Errorf("a text that is too long: %v", err)
	}
	next, wire, err := w.Parties["alice"].Seal(w.Ent, w.Now, "bob", make([]byte, level1.MaxText))
	if err != nil {
		t.Fatal(err)
	}
	w.Parties["alice"] = next
	if _, text, err := w.Parties["bob"].Open(w.Now, "alice", wire); err != nil || len(text) != level1.MaxText {
		t.Errorf("the longest text: %d, %v", len(text), err)
	}
}
