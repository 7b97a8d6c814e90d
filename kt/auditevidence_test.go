package kt

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

// refuted has an audit go through a log as it is given, and gives the evidence of
// what it refuses under a checkpoint that the log signs.
func refuted(t testing.TB, l *testLog, entries [][]byte, updates [][][]byte) (*Evidence, error) {
	t.Helper()
	c := must(l.policy.Checkpoint(l.checkpoint(len(l.roots))))
	a := NewAudit(l.policy)
	err := error(nil)
	for i := 0; i < len(entries) && err == nil; i++ {
		err = a.Epoch(entries[i], updates[i])
	}
	if err == nil {
		err = a.Finish(c)
	}
	if err == nil {
		t.Fatal("the audit found nothing")
	}
	step := a.Refused()
	var steps [][32]byte
	if next := int(step.Number()) + 1; next < len(l.roots) {
		steps = consistency(l.roots, next)
	}
	e, refused := AuditEvidence(l.policy, step, c.Note, steps)
	if e == nil {
		t.Fatalf("nothing is left of %v: %v", err, refused)
	}
	e.At = testStart * 1000
	return e, refused
}

// resign makes the entries part of the log, as an operator with its keys can.
func (l *testLog) resign(entries [][]byte) { l.roots = entries }

// TestAuditLeavesEvidence: what the log signed shows by itself; what the server
// only said is shown as that.
func TestAuditLeavesEvidence(t *testing.T) {
	for name, try := range map[string]struct {
		spoil      func(l *testLog, entries [][]byte, updates [][][]byte)
		conclusive bool
	}{
		"another map": {func(_ *testLog, entries [][]byte, _ [][][]byte) {
			r := must(ParseRoot(entries[3]))
			r.MapRoot[0]++
			entries[3] = r.Marshal()
		}, true},
		"another map with the last root": {func(_ *testLog, entries [][]byte, _ [][][]byte) {
			r := must(ParseRoot(entries[4]))
			r.MapRoot[0]++
			entries[4] = r.Marshal()
		}, true},
		"a jump of versions": {func(l *testLog, entries [][]byte, updates [][][]byte) {
			updates[4] = [][]byte{l.update("alice", 2), l.update("alice", 2)}
			r := must(ParseRoot(entries[4]))
			r.Updates, r.UpdatesRoot = 7, treeRoot(slices.Concat(updates...))
			entries[4] = r.Marshal()
		}, true},
		"a name that begins in the middle": {func(l *testLog, entries [][]byte, updates [][][]byte) {
			updates[2] = [][]byte{l.update("bob", 0), l.update("alice", 1), l.update("carol", 0), l.update("dora", 0)}
			r := must(ParseRoot(entries[2]))
			r.UpdatesRoot = treeRoot(updates[2])
			entries[2] = r.Marshal()
		}, true},
		"an update that is none": {func(_ *testLog, entries [][]byte, updates [][][]byte) {
			updates[2] = [][]byte{updates[2][0], []byte("what?"), updates[2][2], updates[2][3]}
			r := must(ParseRoot(entries[2]))
			r.UpdatesRoot = treeRoot(updates[2])
			entries[2] = r.Marshal()
		}, true},
		"fewer updates than before": {func(_ *testLog, entries [][]byte, _ [][][]byte) {
			r := must(ParseRoot(entries[4]))
			r.Updates = 1
			entries[4] = r.Marshal()
		}, true},
		"an entry that is none":      {func(_ *testLog, entries [][]byte, _ [][][]byte) { entries[3] = []byte("what?") }, true},
		"other updates than in U":    {func(_ *testLog, _ [][]byte, updates [][][]byte) { updates[4][0][40]++ }, false},
		"updates that are kept back": {func(_ *testLog, _ [][]byte, updates [][][]byte) { updates[4] = nil }, false},
	} {
		l := town(1)
		entries, updates := l.epochs()
		entries = slices.Clone(entries)
		for i := range updates {
			for j := range updates[i] {
				updates[i][j] = slices.Clone(updates[i][j])
			}
		}
		try.spoil(l, entries, updates)
		l.resign(entries)
		e, refused := refuted(t, l, entries, updates)
		again, err := ParseEvidence(e.Marshal())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		finding, err := again.Verify()
		if err != nil || finding.Conclusive != try.conclusive {
			t.Errorf("%s: %+v, %v; refused: %v", name, finding, err, refused)
		}
	}
}

// TestAuditEvidenceOfWhatWasOnlySaid: entries that are not under the checkpoint
// say nothing of the log, whatever is wrong with them.
func TestAuditEvidenceOfWhatWasOnlySaid(t *testing.T) {
	l := town(1)
	entries, updates := l.epochs()
	entries = slices.Clone(entries)
	entries[3] = slices.Clone(entries[3])
	entries[3][80]++
	e, _ := refuted(t, l, entries, updates)
	finding, err := e.Verify()
	if err != nil || finding.Conclusive || e.Check != "V-196" {
		t.Errorf("%+v, %v, %s", finding, err, e.Check)
	}
	config, _ := l.epochs()
	other := slices.Clone(config[0])
	other[20]++
	e, _ = refuted(t, l, [][]byte{other}, [][][]byte{nil})
	if finding, err = e.Verify(); err != nil || finding.Conclusive {
		t.Errorf("another config: %+v, %v", finding, err)
	}
}

// swapped is evidence of a map that does not follow.
func swapped(t testing.TB) *Evidence {
	l := town(1)
	entries, updates := l.epochs()
	entries = slices.Clone(entries)
	r := must(ParseRoot(entries[3]))
	r.MapRoot[0]++
	entries[3] = r.Marshal()
	l.resign(entries)
	e, _ := refuted(t, l, entries, updates)
	return e
}

// TestV275StepsThatAreNone: what is not an epoch of the log with all before it
// shows nothing, so that nobody can be accused with parts that do not fit.
func TestV275StepsThatAreNone(t *testing.T) {
	for name, spoil := range map[string]func(s *Step){
		"another edge of U": func(s *Step) { s.Peaks[0][0]++ },
		"no edge of U":      func(s *Step) { s.Peaks = nil },
		"another value":     func(s *Step) { s.Held[0].Last = &Tail{} },
		"no place":          func(s *Step) { s.Held = nil },
		"another proof":     func(s *Step) { s.Held[0].Proof = MapProof{} },
	} {
		e := swapped(t)
		spoil(e.Step)
		_, err := e.Verify()
		t.Run(name, func(t *testing.T) { refusedBy(t, "V-275", err) })
	}
	e := swapped(t)
	e.Step.From++ // another place in R: the entries lead nowhere
	e.Step.Edge = nil
	_, err := e.Verify()
	refusedBy(t, "V-275", err)
}

// TestV192AuditOfAnHonestLog: an honest epoch is no evidence, and neither is one
// that is refused by another rule than the file says.
func TestV192AuditOfAnHonestLog(t *testing.T) {
	l := town(1)
	entries, updates := l.epochs()
	a := NewAudit(l.policy)
	for i := range 3 {
		if err := a.Epoch(entries[i], updates[i]); err != nil {
			t.Fatal(err)
		}
	}
	before, peaks := a.replay.Map(), edgeHashes(a.replay.log)
	step := a.step(entries[3], updates[3])
	step.Peaks, step.Held = peaks, places(before, updates[3], []*Tail{a.replay.tail(must(ParseUpdate(updates[3][0])).Index)})
	e := &Evidence{Kind: KindAudit, Check: "V-196", Policy: l.policy, Step: step, Notes: [2][]byte{l.checkpoint(5)}, Proof: consistency(l.roots, 4)}
	_, err := e.Verify()
	refusedBy(t, "V-192", err)
	if e, err := AuditEvidence(l.policy, step, l.checkpoint(5), consistency(l.roots, 4)); e != nil || err != nil {
		t.Errorf("evidence against an honest log: %v", err)
	}
	other := swapped(t)
	other.Check = "V-180"
	_, err = other.Verify()
	refusedBy(t, "V-192", err)
}

// TestV276StateOfAnAudit: an audit goes on from where it ended, and not from a
// state that does not lead there.
func TestV276StateOfAnAudit(t *testing.T) {
	l := town(1)
	entries, updates := l.epochs()
	for stop := 1; stop <= len(entries); stop++ {
		a := NewAudit(l.policy)
		for i := range entries {
			if i == stop {
				a = must(ParseAudit(l.policy, a.Marshal()))
			}
			if err := a.Epoch(entries[i], updates[i]); err != nil {
				t.Fatalf("after a stop at %d: %v", stop, err)
			}
		}
		if err := a.Finish(must(l.policy.Checkpoint(l.checkpoint(5)))); err != nil {
			t.Errorf("after a stop at %d: %v", stop, err)
		}
		raw := a.Marshal()
		for i := range raw {
			changed := slices.Clone(raw)
			changed[i] ^= 1
			if b, err := ParseAudit(l.policy, changed); err == nil && b.Finish(must(l.policy.Checkpoint(l.checkpoint(5)))) == nil {
				t.Fatalf("byte %d of the state can be another", i)
			}
		}
	}
	_, err := ParseAudit(l.policy, nil)
	refusedBy(t, "V-276", err)
	if state := NewAudit(l.policy).Marshal(); state != nil {
		t.Error("a state before the first entry")
	}
}

// rolledBack is evidence of a log that was put back, signed so much later.
func rolledBack(later int64) *Evidence {
	l := town(1)
	long := l.checkpoint(5)
	l.at += later
	return &Evidence{Kind: KindRollback, At: testStart * 1000, Check: "V-185", Policy: l.policy, Notes: [2][]byte{long, l.checkpoint(4)}}
}

func TestEvidenceOfARollback(t *testing.T) {
	for later, words := range map[int64]string{60: "signed a shorter list later", -60: "showed a list last"} {
		e := must(ParseEvidence(rolledBack(later).Marshal()))
		if finding, err := e.Verify(); err != nil || finding.Conclusive || !strings.Contains(finding.Words, words) {
			t.Errorf("signed %d s later: %+v, %v", later, finding, err)
		}
	}
	forward := rolledBack(60)
	forward.Notes[0], forward.Notes[1] = forward.Notes[1], forward.Notes[0]
	_, err := forward.Verify()
	refusedBy(t, "V-192", err)
	bare := rolledBack(60)
	text, lines, _ := bytes.Cut(bare.Notes[1], []byte("\n\n"))
	bare.Notes[1] = append(append(text, "\n\n"...), lines[:bytes.IndexByte(lines, '\n')+1]...)
	_, err = bare.Verify()
	refusedBy(t, "V-192", err)
}

func FuzzParseStep(f *testing.F) {
	decodertest.Seed(f, "swapped", swapped(f).Step.Marshal())
	decodertest.Seed(f, "first", (&Step{Entries: [][]byte{{0}}}).Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, ok := decodertest.Canonical(t, raw, ParseStep, (*Step).Marshal); ok {
			_, _ = s.root()
			_, _ = s.judge(Config{})
		}
	})
}

func FuzzParseAudit(f *testing.F) {
	l := town(1)
	entries, updates := l.epochs()
	a := NewAudit(l.policy)
	for i := range entries {
		if i == 1 {
			decodertest.Seed(f, "config", a.Marshal())
		}
		if err := a.Epoch(entries[i], updates[i]); err != nil {
			f.Fatal(err)
		}
	}
	decodertest.Seed(f, "whole", a.Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		decodertest.Canonical(t, raw, func(b []byte) (*Audit, error) { return ParseAudit(l.policy, b) }, (*Audit).Marshal)
	})
}
