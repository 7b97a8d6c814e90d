package kt

import (
	"bytes"

	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/posthorn/posthorn/internal/decodertest"
)

// forked gives evidence of two logs of one size.
func forked() *Evidence {
	l, fork := town(1), newLog(1)
	for len(fork.roots) < len(l.roots) {
		fork.epoch()
	}
	c := must(fork.policy.Checkpoint(fork.checkpoint(5)))
	return &Evidence{
		Kind: KindFork, At: testStart * 1000, Check: "V-186", Policy: l.policy,
		Notes: [2][]byte{l.checkpoint(5), c.Head.Note(testOrigin)},
	}
}

// longerFork has a proof that leads elsewhere.
func longerFork() *Evidence {
	e, l := forked(), town(1)
	l.epoch()
	e.Notes[0], e.Proof = l.checkpoint(6), consistency(l.roots, 5)
	return e
}

// denied gives evidence of a record that its owner did not make.
func denied(kind string, r Record) *Evidence {
	l := town(1)
	known := Known{Size: 3, Root: l.root(3), Label: &Label{0, l.values["alice"][0]}}
	return &Evidence{
		Kind: kind, At: testStart * 1000, Check: "V-190", Policy: l.policy,
		Name: "alice", Record: &r, Known: known, Answer: l.answer("alice", known),
	}
}

// frozen is an answer that was read two days after it was signed.
func frozen() *Evidence {
	e := denied(KindAnswer, record("alice", 2))
	e.At, e.Check = e.At+2*uint64(MaxAge.Milliseconds()), "V-184"
	return e
}

func TestEvidenceIsSeenAgain(t *testing.T) {
	for name, try := range map[string]struct {
		evidence   *Evidence
		conclusive bool
	}{
		"fork":   {forked(), true},
		"longer": {longerFork(), false},
		"answer": {denied(KindAnswer, record("alice", 7)), false},
		"record": {denied(KindRecord, record("alice", 2)), false}, // anybody can deny anything
		"frozen": {frozen(), false},                               // or an honest log, and a clock that is ahead
	} {
		e, err := ParseEvidence(try.evidence.Marshal())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		finding, err := e.Verify()
		if err != nil || finding.Conclusive != try.conclusive {
			t.Errorf("%s: %+v, %v", name, finding, err)
		}
	}
}

func TestV192NoEvidence(t *testing.T) {
	same := forked()
	same.Notes[1] = same.Notes[0]
	continued := longerFork()
	l := town(1)
	continued.Notes[1] = l.checkpoint(5)
	unsigned := forked()
	unsigned.Notes[1] = bytes.Replace(unsigned.Notes[1], []byte("\n5\n"), []byte("\n6\n"), 1)
	honest := denied(KindAnswer, record("alice", 2))
	otherRule := denied(KindAnswer, record("alice", 7))
	otherRule.Check = "V-186"
	unlogged := denied(KindRecord, record("alice", 7))
	unknown := denied("rumour", record("alice", 2))
	early := denied(KindAnswer, record("alice", 2))
	early.At, early.Check = early.At-2*uint64(MaxAge.Milliseconds()), "V-184"
	damaged := denied(KindAnswer, record("alice", 2)) // by whoever passed it on
	damaged.Answer.Checkpoint[len(testOrigin)+3] ^= 1
	damaged.Check = "V-182"
	for name, e := range map[string]*Evidence{
		"same": same, "continued": continued, "unsigned": unsigned, "honest": honest,
		"other rule": otherRule, "unlogged": unlogged, "unknown": unknown,
		"early": early, "damaged": damaged,
	} {
		_, err := e.Verify()
		t.Run(name, func(t *testing.T) { refusedBy(t, "V-192", err) })
	}
}

// TestEvidenceWithGoTools opens the notes and checks the proof with the code of
// Go's own checksum database, which shares nothing with ours.
func TestEvidenceWithGoTools(t *testing.T) {
	e := longerFork()
	verifier := must(note.NewVerifier(newNotary(testOrigin, 1).keys[0]))
	var trees [2]tlog.Tree
	for i, signed := range e.Notes {
		n, err := note.Open(signed, note.VerifierList(verifier))
		if err != nil {
			t.Fatal(err)
		}
		origin, rest, _ := strings.Cut(n.Text, "\n")
		trees[i], err = tlog.ParseTree([]byte("go.sum database tree\n" + rest))
		if err != nil || origin != testOrigin {
			t.Fatalf("not a tree of %s: %v", origin, err)
		}
	}
	var p tlog.TreeProof
	for _, h := range e.Proof {
		p = append(p, h)
	}
	if tlog.CheckTree(p, trees[0].N, trees[0].Hash, trees[1].N, trees[1].Hash) == nil {
		t.Error("Go finds that the trees belong together")
	}
	l := town(1)
	l.epoch()
	if err := tlog.CheckTree(p, 6, trees[0].Hash, 5, tlog.Hash(l.root(5))); err != nil {
		t.Errorf("Go refuses the proof of an honest log: %v", err)
	}
}

func exported(l *testLog) *Exported {
	r := record("alice", 2)
	return &Exported{l.policy, "alice", &r, l.answer("alice", Known{})}
}

func TestExportedProofs(t *testing.T) {
	l := town(1)
	x, err := ParseExported(must(exported(l).Marshal()))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := x.Verify(); err != nil || v.Label.Version != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	nobody := &Exported{l.policy, "nobody", nil, l.answer("nobody", Known{})}
	x = must(ParseExported(must(nobody.Marshal())))
	if v, err := x.Verify(); err != nil || v.Label != nil {
		t.Errorf("%+v, %v", v, err)
	}
	x.Name = "alice"
	_, err = x.Verify()
	refusedBy(t, "V-188", err)
}

// TestExportedWithGoTools: the newest root is in the log, says Go's own code.
func TestExportedWithGoTools(t *testing.T) {
	l := town(1)
	a := exported(l).Answer
	var p tlog.RecordProof
	for _, h := range a.Inclusion {
		p = append(p, h)
	}
	if err := tlog.CheckRecord(p, 5, tlog.Hash(l.root(5)), 4, tlog.RecordHash(a.Root.Marshal())); err != nil {
		t.Error(err)
	}
}

func FuzzParseHead(f *testing.F) {
	l := town(1)
	decodertest.Seed(f, "head", must(l.policy.Checkpoint(l.checkpoint(5))).Head.Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, ok := decodertest.Canonical(t, raw, ParseHead, Head.Marshal); !ok {
			var b [HeadSize]byte
			decodertest.From(raw).Fill(b[:])
			decodertest.RoundTrip(t, must(ParseHead(b[:])), Head.Marshal, ParseHead)
		}
	})
}

// FuzzParseEvidence also looks at whatever parses: no evidence makes it panic.
func FuzzParseEvidence(f *testing.F) {
	decodertest.Seed(f, "fork", forked().Marshal())
	decodertest.Seed(f, "longer", longerFork().Marshal())
	decodertest.Seed(f, "record", denied(KindRecord, record("alice", 2)).Marshal())
	decodertest.Seed(f, "roster", parted().Marshal())
	decodertest.Seed(f, "audit", swapped(f).Marshal())
	decodertest.Seed(f, "rollback", rolledBack(60).Marshal())
	followed, changes, newest := moved()
	decodertest.Seed(f, "policy", (&Evidence{Kind: KindPolicy, Check: "V-282", Policy: followed.policy, Changes: changes[1:], Notes: [2][]byte{newest}}).Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if e, ok := decodertest.Canonical(t, raw, ParseEvidence, (*Evidence).Marshal); ok {
			_, _ = e.Verify()
		}
	})
}

func FuzzParseExported(f *testing.F) {
	decodertest.Seed(f, "alice", must(exported(town(1)).Marshal()))
	f.Fuzz(func(t *testing.T, raw []byte) {
		write := func(x *Exported) []byte { return must(x.Marshal()) }
		if x, ok := decodertest.Canonical(t, raw, ParseExported, write); ok {
			_, _ = x.Verify()
		}
	})
}
