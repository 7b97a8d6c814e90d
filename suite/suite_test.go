package suite_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level0"
	"github.com/posthorn/posthorn/suite/level1"
	"github.com/posthorn/posthorn/suite/level2"
	"github.com/posthorn/posthorn/suite/level3"
	"github.com/posthorn/posthorn/suite/level3sparse"
	"github.com/posthorn/posthorn/suite/seeded"
	"github.com/posthorn/posthorn/suite/suitetest"
)

// all are the suites that the attack lab compares.
func all() []suite.Suite {
	return []suite.Suite{
		level0.Level0{}, level1.New(), level2.New(),
		level3.New(level3.Options{Suite: account.PQ3}), level3.New(level3.Options{Suite: account.PQ3A}),
		level3.New(level3.Options{Suite: account.PQ3A, Repeat: true}), level3sparse.New(),
	}
}

// TestNamesAndLevels: names are unique, levels those of Apple's chart.
func TestNamesAndLevels(t *testing.T) {
	want := map[string]int{"level0": 0, "level1": 1, "level2": 2, "level3-pq3": 3, "level3": 3, "level3-repeat": 3, "level3-sparse": 3}
	for _, s := range all() {
		if level, known := want[s.Name()]; !known || level != s.Level() {
			t.Errorf("%s has level %d", s.Name(), s.Level())
		}
		delete(want, s.Name())
	}
	if len(want) > 0 {
		t.Errorf("missing, or twice under one name: %v", want)
	}
}

// TestStatesAreNotInterchangeable: a device of one level does not come to life
// at another.
func TestStatesAreNotInterchangeable(t *testing.T) {
	for _, a := range []suite.Suite{level0.Level0{}, level1.New(), level3.New(level3.Options{Suite: account.PQ3A})} {
		w := suitetest.NewWorld(t, a, "states", "alice", "bob")
		w.Talk("alice", "bob")
		for _, b := range []suite.Suite{level0.Level0{}, level1.New(), level3.New(level3.Options{Suite: account.PQ3}), level3.New(level3.Options{Suite: account.PQ3A})} {
			_, err := b.ParseParty(w.Parties["alice"].State())
			if same := a.Name() == b.Name(); same != (err == nil) || !same && !errors.Is(err, suite.ErrState) && !errors.Is(err, suite.ErrMalformed) {
				t.Errorf("a device of %s at %s: %v", a.Name(), b.Name(), err)
			}
		}
	}
}

// TestOnlyLevel0ServerReads: what the server stores holds the text at Level 0,
// and at no other.
func TestOnlyLevel0ServerReads(t *testing.T) {
	for _, s := range all() {
		w := suitetest.NewWorld(t, s, "stored", "alice", "bob")
		for _, m := range []*suitetest.Mail{w.Talk("alice", "bob"), w.Talk("bob", "alice")} {
			if reads := bytes.Contains(m.Kept, []byte(m.Text)); reads != (s.Level() == 0) {
				t.Errorf("%s: the server reads: %v", s.Name(), reads)
			}
			if bytes.Contains(m.Wire, []byte(m.Text)) || bytes.Contains(m.Sent, []byte(m.Text)) {
				t.Errorf("%s: the text is on the wire", s.Name())
			}
		}
	}
}

// TestBeginCrossesEverything: an eavesdropper has each record and bundle.
func TestBeginCrossesEverything(t *testing.T) {
	for _, s := range all() {
		begun, err := suite.Begin(s, seeded.New("begin"), suitetest.Now, "a", "b", "c")
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]int{}
		for _, c := range begun.Crossings {
			kinds[c.Kind]++
			if (c.Kind == suite.Record) != (c.To == suite.ServerName) {
				t.Errorf("%s: %s from %s to %s", s.Name(), c.Kind, c.From, c.To)
			}
		}
		if kinds[suite.Greeting] != 3 || kinds[suite.Record] != 3 || kinds[suite.Bundle] != 6 {
			t.Errorf("%s: %v", s.Name(), kinds)
		}
	}
}

// TestPostKeepsTheNewestRecord, and changes no server that it was made from.
func TestPostKeepsTheNewestRecord(t *testing.T) {
	empty := suite.NewPost("test", suite.WholeRecord)
	one, err := empty.Register(time.Time{}, "alice", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := one.Register(time.Time{}, "alice", []byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	_, bundle, err := two.HandOut("alice")
	if err != nil || string(bundle) != "two" || string(one.State()) != "one" || len(empty.State()) != 0 {
		t.Errorf("handed out %q, %v; before it %q", bundle, err, one.State())
	}
	if _, _, err := empty.HandOut("alice"); !errors.Is(err, suite.ErrPeer) {
		t.Errorf("got %v", err)
	}
	broken := suite.NewPost("test", func([]byte) (rest, bundle []byte, err error) { return nil, nil, suite.ErrMalformed })
	with, err := broken.Register(time.Time{}, "alice", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := with.HandOut("alice"); !errors.Is(err, suite.ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

// TestErrorSaysWhoRefusedWhat, and leads to sentinel and cause.
func TestErrorSaysWhoRefusedWhat(t *testing.T) {
	cause := errors.New("below")
	err := error(&suite.Error{Level: "level9", Err: suite.ErrPrekey, Detail: "gone", Cause: cause})
	if err.Error() != "suite: prekey not usable (level9): gone: below" || !errors.Is(err, suite.ErrPrekey) || !errors.Is(err, cause) {
		t.Errorf("got %q", err)
	}
	if err := suite.Refuse("level9", suite.ErrPeer, "who"); err.Error() != "suite: no such peer (level9): who" || !errors.Is(err, suite.ErrPeer) {
		t.Errorf("got %q", err)
	}
}

// TestNothingSecretIsPrinted: no verb shows the keys of a seized device.
func TestNothingSecretIsPrinted(t *testing.T) {
	w := suitetest.NewWorld(t, level3sparse.New(), "print", "alice", "bob")
	w.Talk("alice", "bob")
	s, err := level1.ParseState(w.Parties["alice"].State())
	if err != nil {
		t.Fatal(err)
	}
	suitetest.Unprinted(t, s.Peers[0].Sessions[0], s.Peers[0].Sessions[0].Ratchet.Root[:], s.Peers[0].Sessions[0].Second)
	suitetest.Unprinted(t, s, s.Identity.Signing[:], s.Prekeys[0].Private[:], s.Prekeys[0].Extra)
	for _, each := range all() {
		w := suitetest.NewWorld(t, each, "print", "alice", "bob")
		w.Talk("alice", "bob")
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if shown := fmt.Sprintf(verb, w.Parties["alice"]); shown != "key(redacted)" {
				t.Errorf("%s under %s shows %.80s", each.Name(), verb, shown)
			}
		}
	}
}

// BenchmarkMessage is one message sealed, relayed and opened, in strict
// alternation: what the protection of each level costs.
func BenchmarkMessage(b *testing.B) {
	for _, s := range all() {
		b.Run(s.Name(), func(b *testing.B) {
			w := suitetest.NewWorld(b, s, "bench", "alice", "bob")
			w.Talk("alice", "bob")
			for i := 0; b.Loop(); i++ {
				from, to := "bob", "alice"
				if i%2 == 1 {
					from, to = to, from
				}
				pass(b, w, from, to)
			}
		})
	}
}

// pass is Talk without its checks.
func pass(b *testing.B, w *suitetest.World, from, to string) {
	next, wire, err := w.Parties[from].Seal(w.Ent, w.Now, to, []byte("sixteen letters."))
	if err != nil {
		b.Fatal(err)
	}
	server, _, delivered, err := w.Server.Relay(w.Ent, w.Now, from, to, wire)
	if err != nil {
		b.Fatal(err)
	}
	opened, _, err := w.Parties[to].Open(w.Now, from, delivered)
	if err != nil {
		b.Fatal(err)
	}
	w.Parties[from], w.Parties[to], w.Server = next, opened, server
}
