package attacklab

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/attacklab/attack"
	"github.com/posthorn/posthorn/attacklab/scenario"
	"github.com/posthorn/posthorn/attacklab/simulation"
	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/suite/level3"
)

// seeds are how often every claim is tried, each time with other keys, another
// network and other moments of seizure.
func seeds() uint64 { return uint64(machine.Count(1, 2, 6)) }

// each plays every scenario of a kind on a level with many seeds.
func each(t *testing.T, level string, try func(t *testing.T, run *simulation.Run, l Level, seed uint64)) {
	l, ok := LevelOf(level)
	if !ok {
		t.Fatalf("no level %s", level)
	}
	all, err := scenario.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if len(s.Attacks) == 0 {
			continue
		}
		for seed := range seeds() {
			run := played(t, s, l, seed)
			t.Run(fmt.Sprintf("%s/%d", s.Name, seed), func(t *testing.T) { try(t, run, l, seed) })
		}
	}
}

// plays keeps the conversations, which several claims are about.
var plays = map[string]*simulation.Run{}

func played(t *testing.T, s *scenario.Scenario, l Level, seed uint64) *simulation.Run {
	name := fmt.Sprint(s.Name, l.Key, seed)
	if plays[name] == nil {
		run, err := simulation.Play(s, l.Suite, seed)
		if err != nil {
			t.Fatal(err)
		}
		plays[name] = run
	}
	return plays[name]
}

// by lets one attacker of the scenario at a run, whom words describe.
func by(t *testing.T, run *simulation.Run, l Level, seed uint64, words string) Reading {
	t.Helper()
	i := slices.IndexFunc(run.Scenario.Attacks, func(a scenario.Attack) bool { return a.String() == words })
	if i < 0 {
		t.Fatalf("%s has no attacker %q", run.Scenario.Name, words)
	}
	return Assail(run, l, run.Scenario.Attacks[i], seed)
}

func TestLevel0ServerReadsAll(t *testing.T) {
	each(t, "0", func(t *testing.T, run *simulation.Run, l Level, seed uint64) {
		if r := by(t, run, l, seed, "server"); r.Read != r.Texts {
			t.Errorf("the server reads %d of %d", r.Read, r.Texts)
		}
		if r := by(t, run, l, seed, "recording"); r.Read != 0 {
			t.Errorf("the lines alone give %d texts", r.Read)
		}
		if r := by(t, run, l, seed, "recording + quantum"); r.Read != r.Texts {
			t.Errorf("lines and a quantum computer give %d of %d", r.Read, r.Texts)
		}
	})
}

func TestLevel1HarvestAndQuantumReadAll(t *testing.T) {
	each(t, "1", func(t *testing.T, run *simulation.Run, l Level, seed uint64) {
		if r := by(t, run, l, seed, "recording + quantum"); r.Read != r.Texts {
			t.Errorf("a quantum computer reads %d of %d", r.Read, r.Texts)
		}
		for _, words := range []string{"server", "recording", "recording + kem-broken"} {
			if r := by(t, run, l, seed, words); r.Read != 0 {
				t.Errorf("%s reads %d", words, r.Read)
			}
		}
	})
}

// TestLevel2NeverHealsFromASeizure: recordings and a quantum computer read
// nothing, but with one seized state they read everything after it.
func TestLevel2NeverHealsFromASeizure(t *testing.T) {
	each(t, "2", func(t *testing.T, run *simulation.Run, l Level, seed uint64) {
		for _, words := range []string{"server", "recording", "recording + quantum", "recording + kem-broken"} {
			if r := by(t, run, l, seed, words); r.Read != 0 {
				t.Errorf("%s reads %d", words, r.Read)
			}
		}
		if r := by(t, run, l, seed, "recording + quantum + kem-broken"); r.Read != r.Texts {
			t.Errorf("the control reads %d of %d", r.Read, r.Texts)
		}
		for _, words := range []string{"recording + seize bob at random + quantum", "recording + seize alice at random + quantum"} {
			r := by(t, run, l, seed, words)
			after := strings.Count(r.Strip[r.Seized[0].Message:], ".")
			if len(run.Scenario.Devices) == 2 && (after != 0 || r.Before != 0) {
				t.Errorf("%s: %d texts after the seizure are not read, %d before it are", words, after, r.Before)
			}
		}
	})
}

// TestSparseRatchet: recordings read nothing, and after a seizure the window
// closes wherever both sides write enough.
func TestSparseRatchet(t *testing.T) {
	each(t, "3-sparse", func(t *testing.T, run *simulation.Run, l Level, seed uint64) {
		for _, words := range []string{"server", "recording", "recording + quantum", "recording + kem-broken"} {
			if r := by(t, run, l, seed, words); r.Read != 0 {
				t.Errorf("%s reads %d", words, r.Read)
			}
		}
		if r := by(t, run, l, seed, "recording + quantum + kem-broken"); r.Read != r.Texts {
			t.Errorf("the control reads %d of %d", r.Read, r.Texts)
		}
		if r := by(t, run, l, seed, "recording + seize bob at start + quantum"); strings.HasPrefix(run.Scenario.Name, "bursts") && !r.Healed {
			t.Error("a seizure at the start is of use for ever")
		}
	})
}

var level3s = []string{"3", "3A"}

// TestLevel3HarvestReadsNothing: recordings, with a quantum computer or with a
// broken KEM, read nothing; with both they read everything, which shows that
// the attack code works.
func TestLevel3HarvestReadsNothing(t *testing.T) {
	for _, level := range level3s {
		each(t, level, func(t *testing.T, run *simulation.Run, l Level, seed uint64) {
			for _, words := range []string{"server", "recording", "recording + quantum", "recording + kem-broken"} {
				if r := by(t, run, l, seed, words); r.Read != 0 {
					t.Errorf("%s reads %d", words, r.Read)
				}
			}
			if r := by(t, run, l, seed, "recording + quantum + kem-broken"); r.Read != r.Texts {
				t.Errorf("the control reads %d of %d", r.Read, r.Texts)
			}
		})
	}
}

// TestLevel3SeizureHeals: one seized state and a quantum computer read no
// further than the policy allows, and nothing of the time before but the
// opening of a session, if the device still held its prekey.
func TestLevel3SeizureHeals(t *testing.T) {
	for _, level := range level3s {
		each(t, level, func(t *testing.T, run *simulation.Run, l Level, seed uint64) {
			for _, a := range run.Scenario.Attacks {
				if len(a.Seizures) == 0 {
					continue
				}
				r := Assail(run, l, a, seed)
				if r.Before != 0 || !r.Healed {
					t.Errorf("%s: %d texts from before the seizure, healed %v", a, r.Before, r.Healed)
				}
				if bound, ok := Bound(run); ok && r.Window > bound {
					t.Errorf("%s: reads on for %d texts, at most %d", a, r.Window, bound)
				}
				if r.Opening > 0 && !slices.ContainsFunc(a.Seizures, func(s scenario.Seizure) bool { return called(run, s.Device) }) {
					t.Errorf("%s: only a device that was called holds the prekey", a)
				}
			}
			checkRekeys(t, run, l, seed)
		})
	}
}

// called reports whether somebody started a session with a device.
func called(run *simulation.Run, device string) bool {
	return slices.ContainsFunc(run.Sent, func(s simulation.Sent) bool { return s.To == device && s.Anatomy.Start > 0 })
}

// checkRekeys: whatever the traffic, what is read after a seizure lies before
// the second rekey that completes after it, in the session that was seized.
func checkRekeys(t *testing.T, run *simulation.Run, l Level, seed uint64) {
	for _, a := range run.Scenario.Attacks {
		if len(a.Seizures) != 1 || len(run.Scenario.Away) > 0 {
			continue
		}
		moments := place(run, a, seed)
		seen := map[string]int{}
		for _, c := range Claims(run, a, moments) {
			sent := &run.Sent[c.Frame]
			if string(c.Text) != string(sent.Text) {
				t.Fatalf("%s: frame %d came out wrong", a, c.Frame)
			}
			if m, err := level3.ParseMessage(run.Recording.Frames[c.Frame].Up); c.Via == attack.StolenPrekey && (err != nil || m.Epoch > 1) {
				t.Errorf("%s: a stolen prekey opens epoch %d", a, m.Epoch)
			}
			if !sent.Past(moments[0].Device, moments[0].Message) {
				seen[pairOf(sent)] = max(seen[pairOf(sent)], sent.Rekeys)
			}
		}
		for pair, rekeys := range seen {
			if at := rekeysAt(run, pair, moments[0].Message); rekeys > at+1 {
				t.Errorf("%s: reads beyond %d rekeys, seized at %d", a, rekeys, at)
			}
		}
	}
}

func pairOf(s *simulation.Sent) string { return min(s.From, s.To) + " " + max(s.From, s.To) }

// rekeysAt is how many rekeys of a pair were complete at a moment.
func rekeysAt(run *simulation.Run, pair string, message int) (n int) {
	for i := range run.Sent {
		if s := &run.Sent[i]; pairOf(s) == pair && s.Written <= message {
			n = max(n, s.Rekeys)
		}
	}
	return n
}

// TestClassicalThiefIsLockedOut: without a quantum computer, a seizure is of use
// for two changes of direction at most.
func TestClassicalThiefIsLockedOut(t *testing.T) {
	for _, level := range []string{"1", "2", "3", "3A", "3-sparse"} {
		each(t, level, func(t *testing.T, run *simulation.Run, l Level, seed uint64) {
			for _, a := range run.Scenario.Attacks {
				if len(a.Seizures) != 1 || a.Quantum {
					continue
				}
				if r := Assail(run, l, a, seed); r.WindowTurns > 2 || !r.Healed {
					t.Errorf("%s: of use for %d changes of direction, healed %v", a, r.WindowTurns, r.Healed)
				}
			}
		})
	}
}

// TestRekeyFigures: what SPEC and the decision on paced objects promise, in
// tenths: bytes of post-quantum objects a message, messages a rekey.
func TestRekeyFigures(t *testing.T) {
	all, err := scenario.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	most := map[string][2]int{"alternation": {450, 520}, "bursts-10": {1300, 700}, "bursts-50": {910, 1500}, "lopsided": {1100, 800}}
	for _, s := range all {
		if !s.Figures {
			continue
		}
		for way, level := range Ways() {
			p, err := PaceOf(s, way, level, 2_000)
			if err != nil {
				if way == "sparse" && s.Name == "lopsided" {
					continue // it takes thousands of messages for one rekey
				}
				t.Fatal(err)
			}
			bound := most[s.Name]
			if way == "paced" && (p.BytesPerMessage > bound[0] || p.MessagesPerRekey > bound[1]) {
				t.Errorf("%s: %+v, at most %v", s.Name, p, bound)
			}
			t.Logf("%s, %s: %d.%d bytes a message, a rekey in %d.%d messages", s.Name, way, p.BytesPerMessage/10, p.BytesPerMessage%10, p.MessagesPerRekey/10, p.MessagesPerRekey%10)
		}
	}
}

// TestActiveAttacks: who can forge ECDSA gets into PQ3 and not into PQ3A, and
// nobody talks a session out of its rekeys.
func TestActiveAttacks(t *testing.T) {
	want := map[string]bool{"3 impersonate": true, "3 edit": true}
	all, err := scenario.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, s := range all {
		for _, level := range level3s {
			l, _ := LevelOf(level)
			for seed := range seeds() {
				run, err := simulation.Play(s, l.Suite, seed)
				if err != nil || len(s.Actives) == 0 {
					continue
				}
				for _, a := range s.Actives {
					got, _, err := Try(run, l, a, seed)
					if err != nil || got.Succeeded != want[level+" "+string(a)] {
						t.Errorf("%s on %s, seed %d: %+v %v", a, level, seed, got, err)
					}
					tried++
				}
			}
		}
	}
	if tried < 10 {
		t.Errorf("only %d attempts", tried)
	}
}
