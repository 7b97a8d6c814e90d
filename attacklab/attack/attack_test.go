package attack_test

import (
	"errors"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/attacklab/attack"
	"github.com/posthorn/posthorn/attacklab/compromise"
	"github.com/posthorn/posthorn/attacklab/harvest"
	"github.com/posthorn/posthorn/attacklab/oracle"
	"github.com/posthorn/posthorn/attacklab/scenario"
	"github.com/posthorn/posthorn/attacklab/simulation"
	"github.com/posthorn/posthorn/suite/level3"
)

const story = `scenario removal
title Removal
about One input of the attacker is taken away at a time.
devices alice bob
messages 60
turns 3 2
gap 5s
pause 1m
network latency 200ms
attack recording + quantum
`

// play is a short conversation at Level 3.
func play(t *testing.T) *simulation.Run {
	t.Helper()
	s, err := scenario.Parse(story)
	if err != nil {
		t.Fatal(err)
	}
	run, err := simulation.Play(s, level3.New(level3.Options{Suite: account.PQ3A}), 1)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// all is an attacker with everything: both oracles, one seized device.
func all(run *simulation.Run, seized ...compromise.Seized) attack.Inputs {
	sight := holds{run.Recording, seized}
	return attack.Inputs{
		Recording: run.Recording, Seized: seized,
		Quantum: oracle.NewQuantum(run.Table, sight), KEM: oracle.NewKEM(run.Table, sight),
	}
}

type holds struct {
	recording *harvest.Recording
	seized    []compromise.Seized
}

func (h holds) Holds(value []byte) bool {
	for _, s := range h.seized {
		if s.Holds(value) {
			return true
		}
	}
	return h.recording.Holds(value)
}

// right is the set of frames that came out as they were sent.
func right(run *simulation.Run, in attack.Inputs) map[int]bool {
	frames := map[int]bool{}
	for _, p := range attack.On("level3")(in) {
		if string(p.Text) == string(run.Sent[p.Frame].Text) {
			frames[p.Frame] = true
		}
	}
	return frames
}

// TestEveryInputIsNeeded takes one input away at a time. Each time exactly the
// messages that rest on it stay closed.
func TestEveryInputIsNeeded(t *testing.T) {
	run := play(t)
	n := len(run.Sent)
	thief := run.Seize("bob", 30)
	if got := right(run, all(run)); len(got) != n {
		t.Fatalf("with both oracles %d of %d are read", len(got), n)
	}
	in := all(run)
	in.Quantum = nil
	want(t, "no quantum computer", right(run, in), 0, n)
	in = all(run)
	in.KEM = nil
	want(t, "ML-KEM holds", right(run, in), 0, n)
	in = all(run)
	in.Recording = nil
	want(t, "nothing was recorded", right(run, in), 0, n)

	in = all(run, thief)
	in.KEM = nil
	with := right(run, in)
	if len(with) == 0 || len(with) == n {
		t.Fatalf("a seized state and a quantum computer read %d of %d", len(with), n)
	}
	in.Quantum = nil
	classical := right(run, in)
	if len(classical) == 0 || len(classical) >= len(with) {
		t.Errorf("without a quantum computer %d are read, with one %d", len(classical), len(with))
	}
	in = all(run)
	in.KEM = nil
	want(t, "no seized state", right(run, in), 0, n)
}

func want(t *testing.T, what string, got map[int]bool, low, high int) {
	t.Helper()
	if len(got) != low {
		t.Errorf("%s: %d of %d frames are read, want %d", what, len(got), high, low)
	}
}

// epochs of the frames, as they stand on the wire.
func epochs(t *testing.T, run *simulation.Run) (of []uint32, openings [][]byte) {
	t.Helper()
	for _, f := range run.Recording.Frames {
		m, err := level3.ParseMessage(f.Up)
		if err != nil {
			t.Fatal(err)
		}
		of = append(of, m.Epoch)
		if int(m.Epoch) == len(openings) {
			openings = append(openings, m.RatchetKey)
		}
	}
	return of, openings
}

var errNoAnswer = errors.New("no answer")

// deaf refuses one question.
type deaf struct {
	attack.Quantum
	to [][]byte
}

func (d deaf) P256(x []byte) ([]byte, error) {
	for _, key := range d.to {
		if string(x) == string(key) {
			return nil, errNoAnswer
		}
	}
	return d.Quantum.P256(x)
}

// TestEachAnswerIsNeeded: an epoch's ECDH secret needs the private half of one
// of two keys. When the oracle gives neither, that epoch and all after it stay
// closed, and all before it do not.
func TestEachAnswerIsNeeded(t *testing.T) {
	run := play(t)
	of, openings := epochs(t, run)
	for e := 1; e < len(openings); e++ {
		in := all(run)
		in.Quantum = deaf{in.Quantum, [][]byte{openings[e], openings[e-1]}}
		got := right(run, in)
		for f := range of {
			// The key of epoch e-1 is also one of two for e-1 and e-2, where the
			// other one is enough.
			if read := int(of[f]) < e; got[f] != read {
				t.Fatalf("without the keys of epochs %d and %d, frame %d of epoch %d: read %v", e-1, e, f, of[f], got[f])
			}
		}
	}
}

// TestEachRecordingIsNeeded: an epoch that nobody recorded closes all that come
// after it.
func TestEachRecordingIsNeeded(t *testing.T) {
	run := play(t)
	of, openings := epochs(t, run)
	for e := range openings {
		in := all(run)
		in.Recording = run.Recording.Without(func(f harvest.Frame) bool { return int(of[f.Number]) == e })
		for f := range right(run, in) {
			if int(of[f]) >= e {
				t.Fatalf("epoch %d was not recorded, and frame %d of epoch %d is read", e, f, of[f])
			}
		}
	}
	in := all(run)
	in.Recording = &harvest.Recording{Frames: run.Recording.Frames}
	want(t, "records and bundles not seen", right(run, in), 0, len(of))
}

// TestOracleRefuses: what was not seen is not looked up, and what is no public
// key of the simulation is unknown, private halves included.
func TestOracleRefuses(t *testing.T) {
	run := play(t)
	_, openings := epochs(t, run)
	blind := oracle.NewQuantum(run.Table, holds{recording: &harvest.Recording{}})
	if _, err := blind.P256(openings[0]); !errors.Is(err, oracle.ErrNotSeen) {
		t.Errorf("a key that was not seen: %v", err)
	}
	q := oracle.NewQuantum(run.Table, everything{})
	private, err := q.P256(openings[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range [][]byte{private, make([]byte, 32), nil} {
		if _, err := q.P256(no); !errors.Is(err, oracle.ErrUnknown) {
			t.Errorf("%x: %v", no, err)
		}
		if _, err := q.X25519(no); !errors.Is(err, oracle.ErrUnknown) {
			t.Errorf("%x: %v", no, err)
		}
	}
	if _, err := oracle.NewKEM(run.Table, everything{}).Secret(make([]byte, 1184), make([]byte, 1088)); !errors.Is(err, oracle.ErrUnknown) {
		t.Errorf("a KEM key of nobody's: %v", err)
	}
	if q.Questions() != 7 {
		t.Errorf("%d questions were counted", q.Questions())
	}
}

type everything struct{}

func (everything) Holds([]byte) bool { return true }
