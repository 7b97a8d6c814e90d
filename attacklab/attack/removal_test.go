package attack_test

import (
	"testing"

	"github.com/posthorn/posthorn/attacklab/attack"
	"github.com/posthorn/posthorn/attacklab/harvest"
	"github.com/posthorn/posthorn/attacklab/scenario"
	"github.com/posthorn/posthorn/attacklab/simulation"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level0"
	"github.com/posthorn/posthorn/suite/level1"
	"github.com/posthorn/posthorn/suite/level2"
	"github.com/posthorn/posthorn/suite/level3sparse"
)

// reads is how many frames an attacker gets right.
func reads(run *simulation.Run, in attack.Inputs) (n int) {
	for _, p := range attack.On(run.Suite.Name())(in) {
		if string(p.Text) == string(run.Sent[p.Frame].Text) {
			n++
		}
	}
	return n
}

// playOn is the same short conversation at another level.
func playOn(t *testing.T, level suite.Suite) *simulation.Run {
	t.Helper()
	s, err := scenario.Parse(story)
	if err != nil {
		t.Fatal(err)
	}
	run, err := simulation.Play(s, level, 1)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// TestEveryInputIsNeededAtEveryLevel takes one input away at a time from an
// attacker who reads everything.
func TestEveryInputIsNeededAtEveryLevel(t *testing.T) {
	for _, level := range []suite.Suite{level0.Level0{}, level1.New(), level2.New(), level3sparse.New()} {
		t.Run(level.Name(), func(t *testing.T) {
			run := playOn(t, level)
			if n := reads(run, all(run)); n != len(run.Sent) {
				t.Fatalf("with everything %d of %d are read", n, len(run.Sent))
			}
			for what, without := range map[string]func(*attack.Inputs){
				"recording": func(in *attack.Inputs) { in.Recording = nil },
				"quantum":   func(in *attack.Inputs) { in.Quantum = nil },
				"records":   func(in *attack.Inputs) { in.Recording = &harvest.Recording{Frames: in.Recording.Frames} },
				"frames":    func(in *attack.Inputs) { in.Recording = &harvest.Recording{Crossings: in.Recording.Crossings} },
			} {
				in := all(run)
				without(&in)
				if n := reads(run, in); n != 0 {
					t.Errorf("without its %s it reads %d", what, n)
				}
			}
			in := all(run)
			in.KEM = nil
			if n := reads(run, in); level.Level() >= 2 && n != 0 || level.Level() < 2 && n != len(run.Sent) {
				t.Errorf("while ML-KEM holds it reads %d of %d", n, len(run.Sent))
			}
		})
	}
}

// mute gives no X25519 answer about some keys.
type mute struct {
	attack.Quantum
	to map[string]bool
}

func (m mute) X25519(public []byte) ([]byte, error) {
	if m.to[string(public)] {
		return nil, errNoAnswer
	}
	return m.Quantum.X25519(public)
}

// TestEachRatchetAnswerIsNeeded: without the private halves of a chain's ratchet
// key and of the one before it, that chain and all after it stay closed.
func TestEachRatchetAnswerIsNeeded(t *testing.T) {
	for _, level := range []suite.Suite{level1.New(), level2.New()} {
		run := playOn(t, level)
		var order []string // ratchet keys, in the order of the chains
		of := make([]int, len(run.Sent))
		for i, f := range run.Recording.Frames {
			m, err := level1.ParseMessage(f.Up)
			if err != nil {
				t.Fatal(err)
			}
			if key := string(m.Header.Ratchet[:]); len(order) == 0 || order[len(order)-1] != key {
				order = append(order, key)
			}
			of[i] = len(order) - 1
		}
		for c := 1; c < len(order); c++ {
			in := all(run)
			in.Quantum = mute{in.Quantum, map[string]bool{order[c]: true, order[c-1]: true}}
			got := map[int]bool{}
			for _, p := range attack.On(level.Name())(in) {
				got[p.Frame] = string(p.Text) == string(run.Sent[p.Frame].Text)
			}
			for f, chain := range of {
				if got[f] != (chain < c) {
					t.Fatalf("%s: without keys %d and %d, frame %d of chain %d: read %v", level.Name(), c-1, c, f, chain, got[f])
				}
			}
		}
	}
}

// TestServerIsNeededAtLevel0: what a cloud server stores is read as it is, and
// by nothing else that the attacker lacks.
func TestServerIsNeededAtLevel0(t *testing.T) {
	run := playOn(t, level0.Level0{})
	if n := reads(run, attack.Inputs{Server: run.Server}); n != len(run.Sent) {
		t.Errorf("the server reads %d of %d", n, len(run.Sent))
	}
	if n := reads(run, attack.Inputs{Recording: run.Recording}); n != 0 {
		t.Errorf("the lines alone give %d", n)
	}
}

// TestActiveAttacksNeedTheirInputs: a forger without the oracle or without the
// records sends nothing.
func TestActiveAttacksNeedTheirInputs(t *testing.T) {
	run := play(t)
	now := run.MomentOf(3)
	in := all(run)
	in.Quantum = nil
	if _, err := attack.Impersonate(in, nil, now, "alice", "bob", nil); err != attack.ErrLacks {
		t.Errorf("without the oracle: %v", err)
	}
	in = all(run)
	in.Recording = &harvest.Recording{Frames: run.Recording.Frames}
	if _, err := attack.Impersonate(in, nil, now, "alice", "bob", nil); err != attack.ErrLacks {
		t.Errorf("without the records: %v", err)
	}
	wire := run.Recording.Frames[4].Up
	if _, err := attack.Edit(all(run), wire, "alice", "bob", []byte("a"), []byte("b")); err != attack.ErrLacks {
		t.Errorf("without signing keys: %v", err)
	}
	if _, err := attack.Edit(all(run, run.Seize("bob", 5)), wire, "alice", "bob", []byte("a"), []byte("b")); err != attack.ErrLacks {
		t.Errorf("with another device's keys: %v", err)
	}
}
