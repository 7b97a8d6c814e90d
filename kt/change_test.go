package kt

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/internal/reject"
)

// witnessedBy is the text of a policy that asks for one witness.
func (l *testLog) witnessedBy(w *notary) []byte {
	return PlainPolicy(fmt.Appendf(nil, "log %s\nlog %s\nwitness w %s\nquorum w\n", l.log.keys[0], l.log.keys[1], w.keys[0]+" https://w.example/"))
}

// moves adds a root that names the policy with a text as the next one, under a
// checkpoint with the signatures of who was asked before and of the new witness.
// The change leads from there.
func (l *testLog) moves(p *Policy, w *notary) (*Policy, *Change) {
	text := l.witnessedBy(w)
	next := must(p.Next(text))
	l.last.Standing = next.Standing()
	l.epoch()
	l.more = append(l.more, w)
	size := len(l.roots)
	return next, &Change{Text: text, Place: uint64(size - 1), Root: l.last, Inclusion: inclusion(l.roots, size-1), Checkpoint: l.checkpoint(size)}
}

// moved is a town whose log has changed its policy twice, from two witnesses to
// another one and from that to a third, and gone on each time.
func moved() (l *testLog, changes []*Change, newest []byte) {
	l = town(1)
	first, one := l.moves(l.policy, newNotary("three.example", 1))
	l.gone = true
	l.epoch()
	_, two := l.moves(first, newNotary("four.example", 1))
	l.more = l.more[1:]
	l.epoch()
	changes = []*Change{one, two}
	for _, c := range changes {
		c.Consistency = consistency(l.roots, int(c.Place)+1)
	}
	return l, changes, l.checkpoint(len(l.roots))
}

func TestPolicyIsFollowed(t *testing.T) {
	l, changes, newest := moved()
	for from := range 3 {
		p := l.policy
		for _, c := range changes[:from] {
			p = must(p.Next(c.Text))
		}
		got, err := p.Follow(changes[from:], newest)
		if err != nil || got.Standing().Number != 2 || got.Standing() != l.last.Standing {
			t.Fatalf("from policy %d: %v", from, err)
		}
		again, err := ParsePolicy(got.Marshal())
		if err != nil || again.Standing() != got.Standing() || again.Hash() != got.Hash() {
			t.Errorf("stored: %v", err)
		}
		known := Known{Size: 3, Root: l.root(3)}
		r := record("alice", 2)
		if _, err := again.Verify(l.answer("alice", known), "alice", &r, known, testNow()); err != nil {
			t.Errorf("an answer under the new policy: %v", err)
		}
	}
	if _, err := l.policy.Checkpoint(newest); err == nil {
		t.Error("the first witnesses have signed what they have not")
	}
}

func TestPoliciesHaveOneForm(t *testing.T) {
	l, changes, _ := moved()
	p := must(l.policy.Next(changes[0].Text))
	raw := p.Marshal()
	for i := range raw {
		changed := slices.Clone(raw)
		changed[i] ^= 1
		if other, err := ParsePolicy(changed); err == nil && other.Standing() == p.Standing() {
			t.Fatalf("byte %d can be another", i)
		}
	}
	for n := range raw {
		if other, err := ParsePolicy(raw[:n]); err == nil {
			t.Fatalf("%d bytes are a policy: %+v", n, other.Standing())
		}
	}
}

// spoiledChange is a lie about policies, and the rule that notices it.
type spoiledChange struct {
	rule  string
	spoil func(l *testLog, changes []*Change, newest *[]byte) []*Change
}

func spoiledChanges() map[string]spoiledChange {
	type list = []*Change
	return map[string]spoiledChange{
		"another text": {"V-282", func(l *testLog, c list, _ *[]byte) list {
			c[0].Text = l.witnessedBy(newNotary("mallory.example", 1))
			return c
		}},
		"one left out": {"V-282", func(_ *testLog, c list, _ *[]byte) list { return c[1:] }},
		"an older one": {"V-282", func(_ *testLog, c list, _ *[]byte) list { return list{c[0], c[0]} }},
		"other keys": {"V-282", func(_ *testLog, c list, _ *[]byte) list {
			c[0].Text = policyText(newLog(2))
			return c
		}},
		"no form": {"V-282", func(_ *testLog, c list, _ *[]byte) list {
			c[0].Text = append(c[0].Text, "# a comment\n"...)
			return c
		}},
		"not in the log": {"V-283", func(l *testLog, c list, newest *[]byte) list {
			c[0].Text = l.witnessedBy(newNotary("mallory.example", 1))
			c[0].Root.Standing = must(l.policy.Next(c[0].Text)).Standing()
			return c
		}},
		"at another place": {"V-283", func(_ *testLog, c list, _ *[]byte) list { c[0].Place--; return c }},
		"without the old witnesses": {"V-284", func(l *testLog, c list, _ *[]byte) list {
			c[0].Checkpoint = l.checkpoint(int(c[0].Place) + 1)
			return c
		}},
		"by another log": {"V-284", func(_ *testLog, c list, _ *[]byte) list {
			c[0].Checkpoint = newLog(2).checkpoint(2)
			return c
		}},
		"without the new witness": {"V-183", func(l *testLog, c list, newest *[]byte) list {
			l.more = nil
			*newest = l.checkpoint(len(l.roots))
			return c
		}},
		"forked at the change": {"V-287", func(l *testLog, c list, newest *[]byte) list {
			l.roots = slices.Clone(l.roots)
			l.roots[c[0].Place] = l.roots[c[0].Place-1]
			*newest = l.checkpoint(len(l.roots))
			c[0].Consistency = consistency(l.roots, int(c[0].Place)+1)
			return c
		}},
	}
}

// TestV282V283V284V287LiesAboutPolicies: each is refused by its rule, with the
// policy unchanged, and leaves evidence that says so to others.
func TestV282V283V284V287LiesAboutPolicies(t *testing.T) {
	for name, lie := range spoiledChanges() {
		t.Run(name, func(t *testing.T) {
			l, changes, newest := moved()
			changes = lie.spoil(l, changes, &newest)
			p, err := l.policy.Follow(changes, newest)
			refusedBy(t, lie.rule, err)
			if p != nil {
				t.Error("a policy in spite of the refusal")
			}
			e := &Evidence{Kind: KindPolicy, At: testStart * 1000, Check: lie.rule, Policy: l.policy, Changes: changes, Notes: [2][]byte{newest}}
			if lie.rule == "V-287" {
				e = e.AsFork(nil)
			}
			again := must(ParseEvidence(e.Marshal()))
			if finding, err := again.Verify(); err != nil || finding.Conclusive {
				t.Errorf("the evidence: %+v, %v", finding, err)
			}
		})
	}
}

// TestV287ForkAtTheChange: two lists of one size, one of them with the change,
// convict the log by its signatures alone.
func TestV287ForkAtTheChange(t *testing.T) {
	l := town(1)
	_, c := l.moves(l.policy, newNotary("three.example", 1))
	l.roots[len(l.roots)-1] = l.roots[1]
	newest := l.checkpoint(len(l.roots))
	_, err := l.policy.Follow([]*Change{c}, newest)
	refusedBy(t, "V-287", err)
	e := (&Evidence{Kind: KindPolicy, Check: "V-287", Policy: l.policy, Changes: []*Change{c}, Notes: [2][]byte{newest}}).AsFork(nil)
	if finding, err := e.Verify(); err != nil || !finding.Conclusive {
		t.Errorf("%+v, %v", finding, err)
	}
}

// TestV285OlderPolicy: once the new policy is known, a root that names the old
// one, or another one with the same number, is refused.
func TestV285OlderPolicy(t *testing.T) {
	l, changes, newest := moved()
	p := must(l.policy.Follow(changes, newest))
	known := Known{Size: uint64(len(l.roots)), Root: l.root(len(l.roots))}
	r := record("alice", 2)
	for name, standing := range map[string]Standing{
		"the first":                {},
		"the one before":           changes[0].Root.Standing,
		"another of this number":   {2, [32]byte{1}},
		"one that nobody has seen": {3, [32]byte{1}},
	} {
		t.Run(name, func(t *testing.T) {
			spoiled := *l
			spoiled.roots = slices.Clone(l.roots)
			spoiled.last.Standing = standing
			spoiled.epoch()
			a := spoiled.answer("alice", known)
			_, err := p.Verify(a, "alice", &r, known, testNow())
			refusedBy(t, "V-285", err)
			e := &Evidence{Kind: KindAnswer, At: testStart * 1000, Check: "V-285", Policy: p, Name: "alice", Record: &r, Known: known, Answer: a}
			if _, err := e.Verify(); (err == nil) != (standing.Number <= 2) {
				t.Errorf("the evidence: %v", err)
			}
		})
	}
}

// TestV192AnswerUnderALaterPolicy: an honest answer is no evidence under the
// policy of before, whoever holds it against that.
func TestV192AnswerUnderALaterPolicy(t *testing.T) {
	l, _, _ := moved()
	r := record("alice", 2)
	a := l.answer("alice", Known{})
	_, err := l.policy.Verify(a, "alice", &r, Known{}, testNow())
	refusedBy(t, "V-183", err)
	_, err = (&Evidence{Kind: KindAnswer, At: testStart * 1000, Check: "V-183", Policy: l.policy, Name: "alice", Record: &r, Answer: a}).Verify()
	refusedBy(t, "V-192", err)
}

// TestV192PoliciesThatAreHonest are no evidence.
func TestV192PoliciesThatAreHonest(t *testing.T) {
	l, changes, newest := moved()
	for name, e := range map[string]*Evidence{
		"honest":     {Changes: changes, Notes: [2][]byte{newest}},
		"nothing":    {Check: "V-183", Notes: [2][]byte{newest}},
		"other rule": {Check: "V-283", Changes: changes[1:], Notes: [2][]byte{newest}},
		"unsigned":   {Check: "V-282", Changes: changes[1:], Notes: [2][]byte{newLog(2).checkpoint(2)}},
	} {
		e.Kind, e.Policy = KindPolicy, l.policy
		_, err := e.Verify()
		t.Run(name, func(t *testing.T) { refusedBy(t, "V-192", err) })
	}
}

// TestV286PoliciesInAnAudit: the roots name one policy after the other, and who
// skips one or goes back is convicted by the log's own entries.
func TestV286PoliciesInAnAudit(t *testing.T) {
	l, changes, newest := moved()
	p := must(l.policy.Follow(changes, newest))
	cp := must(p.Checkpoint(newest))
	first, updates := town(1).epochs()
	for len(updates) < len(l.roots) {
		updates = append(updates, nil)
	}
	a := NewAudit(l.policy)
	for i, entry := range l.roots {
		if i == len(first)+1 { // while the second policy is in force
			a = must(ParseAudit(p, a.Marshal()))
		}
		if err := a.Epoch(entry, updates[i]); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	if err := a.Finish(cp); err != nil || a.Standing() != p.Standing() {
		t.Fatalf("an honest log: %v", err)
	}
	refusedBy(t, "V-286", a.Finish(must(l.policy.Next(changes[0].Text)).relabelled(cp)))
	for name, standing := range map[string]Standing{
		"back":                   {},
		"skipped":                {3, [32]byte{1}},
		"another of this number": {1, [32]byte{1}},
	} {
		t.Run(name, func(t *testing.T) {
			spoiled := *l
			entries := slices.Clone(l.roots[:len(first)+1])
			r := must(ParseRoot(entries[len(first)]))
			r.Standing = standing
			spoiled.resign(append(entries, r.Marshal()))
			spoiled.gone, spoiled.more = false, nil
			e, refused := refuted(t, &spoiled, spoiled.roots, updates)
			refusedBy(t, "V-286", refused)
			if finding, err := must(ParseEvidence(e.Marshal())).Verify(); err != nil || !finding.Conclusive {
				t.Errorf("the evidence: %+v, %v", finding, err)
			}
		})
	}
}

// relabelled is a checkpoint as if this policy had opened it.
func (p *Policy) relabelled(c *Checkpoint) *Checkpoint {
	other := *c
	other.by = p
	return &other
}

func TestEvidenceOfAForkIsNoPolicy(t *testing.T) {
	l, changes, newest := moved()
	e := &Evidence{Kind: KindPolicy, Check: "V-282", Policy: l.policy, Changes: changes, Notes: [2][]byte{newest}}
	if e.AsFork(nil) != e {
		t.Error("a fork of what continues")
	}
	var refused *reject.Error
	if _, err := e.Verify(); !errors.As(err, &refused) {
		t.Errorf("evidence against an honest log: %v", err)
	}
}

func FuzzParseChange(f *testing.F) {
	_, changes, _ := moved()
	decodertest.Seed(f, "change", changes[0].Marshal())
	decodertest.Seed(f, "cut", changes[0].Marshal()[:200])
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, ok := decodertest.Canonical(t, raw, ParseChange, (*Change).Marshal); ok || len(raw)%4 != 0 {
			return
		}
		s := decodertest.From(raw)
		c := &Change{Place: s.U64(), Root: Root{Updates: s.U64(), At: s.U64()}, Inclusion: drawHashes(s, maxHashes), Consistency: drawHashes(s, maxHashes)}
		if s.Bool() {
			c.Root.Standing.Number = s.U32() | 1
			s.Fill(c.Root.Standing.Chain[:])
		}
		c.Text, c.Checkpoint = bytes.Repeat([]byte{'x'}, 1+int(s.Below(100))), bytes.Repeat([]byte{'y'}, 1+int(s.Below(100)))
		decodertest.RoundTrip(t, c, (*Change).Marshal, ParseChange)
	})
}
