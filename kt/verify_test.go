package kt

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
)

// town is a log with a few names, of which alice has three versions.
func town(seed byte) *testLog {
	l := newLog(seed)
	for _, name := range []string{"alice", "bob", "carol", "dora"} {
		l.publish(record(name, 0))
	}
	l.epoch()
	for seq := uint64(1); seq < 3; seq++ {
		l.publish(record("alice", seq))
		l.epoch()
	}
	return l
}

// check verifies an answer for alice's newest record.
func (l *testLog) check(a *Answer, known Known) (*Verified, error) {
	r := record("alice", 2)
	return l.policy.Verify(a, "alice", &r, known, testNow())
}

func TestAnswersOfAnHonestLogVerify(t *testing.T) {
	l := town(1)
	v, err := l.check(l.answer("alice", Known{}), Known{})
	if err != nil {
		t.Fatal(err)
	}
	if v.Label.Version != 2 || v.Old || !slices.Equal(v.Checkpoint.Witnesses, []string{"one", "two"}) || v.Checkpoint.Size != 5 {
		t.Errorf("verified something else: %+v", v)
	}
	absent, err := l.policy.Verify(l.answer("nobody", Known{}), "nobody", nil, Known{}, testNow())
	if err != nil || absent.Label != nil {
		t.Errorf("an absent name: %v, %v", absent, err)
	}
	later, err := l.policy.Verify(l.answer("alice", Known{}), "alice", ptr(record("alice", 2)), Known{}, testNow().Add(2*time.Hour))
	if err != nil || !later.Old {
		t.Errorf("after two hours: %v, old %v", err, later != nil && later.Old)
	}
}

func ptr[T any](v T) *T { return &v }

// Whatever a device knew, an honest log continues it.
func TestAnswersContinueWhateverWasKnown(t *testing.T) {
	l := town(1)
	for size := 0; size <= len(l.roots); size++ {
		for version := -1; version < 3; version++ {
			known := Known{Size: uint64(size)}
			if size > 0 {
				known.Root = l.root(size)
			}
			if version >= 0 {
				known.Label = &Label{uint32(version), l.values["alice"][version]}
			}
			if _, err := l.check(l.answer("alice", known), known); err != nil {
				t.Errorf("from size %d and version %d: %v", size, version, err)
			}
		}
	}
}

func TestV182UnsignedCheckpoint(t *testing.T) {
	l, other := town(1), town(2)
	for name, spoil := range map[string]func(*Answer){
		"of other keys":  func(a *Answer) { a.Checkpoint = other.checkpoint(len(other.roots)) },
		"without ML-DSA": func(a *Answer) { a.Checkpoint = withoutLine(a.Checkpoint, 1) },
		"without Ed":     func(a *Answer) { a.Checkpoint = withoutLine(a.Checkpoint, 0) },
		"other size":     func(a *Answer) { a.Checkpoint = bytes.Replace(a.Checkpoint, []byte("\n5\n"), []byte("\n6\n"), 1) },
		"with extension": func(a *Answer) { a.Checkpoint = l.extended() },
		"empty":          func(a *Answer) { a.Checkpoint = nil },
		"too long":       func(a *Answer) { a.Checkpoint = append(a.Checkpoint, make([]byte, MaxCheckpoint)...) },
	} {
		a := l.answer("alice", Known{})
		spoil(a)
		_, err := l.check(a, Known{})
		t.Run(name, func(t *testing.T) { refusedBy(t, "V-182", err) })
	}
}

// withoutLine drops one signature of a note.
func withoutLine(signed []byte, i int) []byte {
	text, sigs, _ := strings.Cut(string(signed), "\n\n")
	lines := slices.Collect(strings.Lines(sigs))
	return []byte(text + "\n\n" + strings.Join(slices.Delete(lines, i, i+1), ""))
}

// extended is a checkpoint with a fourth line that everybody signed.
func (l *testLog) extended() []byte {
	size := uint64(len(l.roots))
	root := l.root(len(l.roots))
	text := headText(testOrigin, size, root) + "more\n"
	return []byte(text + "\n" + l.log.signEd(text) + l.log.signML(size, root, l.at) +
		l.one.cosignEd(text, l.at) + l.two.signML(size, root, l.at))
}

func TestV183WithheldWitness(t *testing.T) {
	l := town(1)
	for i := 2; i < 4; i++ {
		a := l.answer("alice", Known{})
		a.Checkpoint = withoutLine(a.Checkpoint, i)
		_, err := l.check(a, Known{})
		refusedBy(t, "V-183", err)
	}
}

// TestV184OneWitnessKeepsNothingFresh: a new signature of one witness does not
// make a checkpoint fresh that the quorum signed long ago.
func TestV184OneWitnessKeepsNothingFresh(t *testing.T) {
	l := town(1)
	size := uint64(len(l.roots))
	root := l.root(len(l.roots))
	text := headText(testOrigin, size, root)
	signed := func(one, two time.Duration) *Answer {
		a := l.answer("alice", Known{})
		a.Checkpoint = []byte(text + "\n" + l.log.signEd(text) + l.log.signML(size, root, l.at) +
			l.one.cosignEd(text, l.at+int64(one.Seconds())) + l.two.signML(size, root, l.at+int64(two.Seconds())))
		return a
	}
	now := testNow().Add(MaxAge + time.Hour)
	check := func(a *Answer) error {
		_, err := l.policy.Verify(a, "alice", ptr(record("alice", 2)), Known{}, now)
		return err
	}
	refusedBy(t, "V-184", check(signed(MaxAge, 0)))
	refusedBy(t, "V-184", check(signed(0, MaxAge)))
	if err := check(signed(2*time.Hour, MaxAge)); err != nil {
		t.Errorf("both within a day: %v", err)
	}
}

func TestV184FrozenHead(t *testing.T) {
	l := town(1)
	a := l.answer("alice", Known{})
	for _, away := range []time.Duration{MaxAge + time.Minute, -MaxAge - time.Minute} {
		_, err := l.policy.Verify(a, "alice", ptr(record("alice", 2)), Known{}, testNow().Add(away))
		refusedBy(t, "V-184", err)
	}
}

func TestV185Rollback(t *testing.T) {
	l := town(1)
	_, err := l.check(l.answer("alice", Known{}), Known{Size: 6})
	refusedBy(t, "V-185", err)
}

func TestV186Fork(t *testing.T) {
	l, fork := town(1), newLog(1)
	fork.publish(record("mallory", 0))
	fork.epoch()
	for size := 3; size <= 5; size++ {
		for len(fork.roots) < size {
			fork.epoch()
		}
		known := Known{Size: uint64(size), Root: fork.root(size)}
		_, err := l.check(l.answer("alice", known), known)
		refusedBy(t, "V-186", err)
	}
}

func TestV187OldRoot(t *testing.T) {
	l := town(1)
	a := l.answer("alice", Known{})
	a.Root, a.Inclusion = must(ParseRoot(l.roots[3])), inclusion(l.roots, 3)
	_, err := l.check(a, Known{})
	refusedBy(t, "V-187", err)
	empty := newLog(1)
	empty.roots = empty.roots[:1]
	_, err = l.check(empty.answer("alice", Known{}), Known{})
	refusedBy(t, "V-187", err)
}

func TestV188PlaceOfAnotherName(t *testing.T) {
	l := town(1)
	a := l.answer("alice", Known{})
	_, a.VRFProof = l.vrf.Prove("bob")
	_, err := l.check(a, Known{})
	refusedBy(t, "V-188", err)
	a.VRFProof = [VRFProofSize]byte{31: 0xff}
	_, err = l.check(a, Known{})
	refusedBy(t, "V-188", err)
}

func TestV189HiddenName(t *testing.T) {
	l := town(1)
	a := l.answer("alice", Known{})
	a.Present = nil
	_, err := l.policy.Verify(a, "alice", nil, Known{}, testNow())
	refusedBy(t, "V-189", err)
	index, _ := l.vrf.Prove("bob")
	a.Map.Other = &Entry{index, l.values["bob"][0]}
	_, err = l.policy.Verify(a, "alice", nil, Known{}, testNow())
	refusedBy(t, "V-189", err)
}

func TestV190OtherRecord(t *testing.T) {
	l := town(1)
	a := l.answer("alice", Known{})
	for name, r := range map[string]*Record{
		"older":       ptr(record("alice", 1)),
		"unlogged":    ptr(record("alice", 3)),
		"other name":  ptr(record("bob", 0)),
		"none":        nil,
		"other owner": {Name: "alice", Seq: 2, Head: record("alice", 2).Head},
	} {
		_, err := l.policy.Verify(a, "alice", r, Known{}, testNow())
		t.Run(name, func(t *testing.T) { refusedBy(t, "V-190", err) })
	}
	_, err := l.policy.Verify(l.answer("nobody", Known{}), "nobody", ptr(record("nobody", 0)), Known{}, testNow())
	refusedBy(t, "V-190", err)
}

func TestV191History(t *testing.T) {
	l := town(1)
	older := Known{Label: &Label{0, l.values["alice"][0]}}
	for name, try := range map[string]struct {
		known Known
		spoil func(*Answer)
	}{
		"other value":      {Known{Label: &Label{2, Value{1}}}, func(*Answer) {}},
		"other ancestor":   {Known{Label: &Label{0, Value{1}}}, func(*Answer) {}},
		"lower version":    {Known{Label: &Label{3, Value{}}}, func(*Answer) {}},
		"missing versions": {older, func(a *Answer) { a.Present.Later = nil }},
		"other versions":   {older, func(a *Answer) { a.Present.Later = []Commitment{{1}} }},
		"unasked versions": {Known{}, func(a *Answer) { a.Present.Later = []Commitment{{1}} }},
	} {
		a := l.answer("alice", try.known)
		try.spoil(a)
		_, err := l.check(a, try.known)
		t.Run(name, func(t *testing.T) { refusedBy(t, "V-191", err) })
	}
	_, err := l.policy.Verify(l.answer("nobody", Known{}), "nobody", nil, older, testNow())
	refusedBy(t, "V-191", err)
}

// A root that is swapped for one epoch and back shows at the next look-up: the
// chain would have to forget a version.
func TestV191SwapForOneEpoch(t *testing.T) {
	l, honest := town(1), town(1)
	l.publish(record("alice", 66))
	l.epoch()
	v, err := l.policy.Verify(l.answer("alice", Known{}), "alice", ptr(record("alice", 66)), Known{}, testNow())
	if err != nil {
		t.Fatal(err)
	}
	l.replay, l.history, l.values = honest.replay, honest.history, honest.values
	l.epoch()
	known := Known{Size: v.Checkpoint.Size, Root: v.Checkpoint.Root, Label: v.Label}
	_, err = l.check(l.answer("alice", known), known)
	refusedBy(t, "V-191", err)
}

func TestV193HeadThatWasPassedOn(t *testing.T) {
	l := town(1)
	c := must(l.policy.Checkpoint(l.checkpoint(5)))
	if err := l.policy.CheckHead(c.Head); err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func(*Head){
		func(h *Head) { h.Size++ }, func(h *Head) { h.Root[0]++ }, func(h *Head) { h.Signature[5]++ }, func(h *Head) { h.Key++ },
	} {
		h := c.Head
		spoil(&h)
		refusedBy(t, "V-193", l.policy.CheckHead(h))
	}
}

func TestV181UnusablePolicy(t *testing.T) {
	l := newLog(1)
	good := string(policyText(l))
	logs := good[:strings.Index(good, "witness")]
	for name, text := range map[string]string{
		"comment":         good + "# more\n",
		"address":         strings.ReplaceAll(good, " -\n", " https://one.example\n"),
		"no ML-DSA":       strings.Join(slices.Delete(strings.SplitAfter(good, "\n"), 1, 2), ""),
		"two Ed25519":     good + "log " + newNotary(testOrigin, 9).keys[0] + "\n",
		"two names":       strings.Replace(good, l.log.keys[1], newNotary("other", 9).keys[1], 1),
		"no quorum":       logs,
		"unknown keyword": good + "trust me\n",
		"broken witness":  logs + "witness one x+00000000+AAAA -\nquorum one\n",
	} {
		_, err := NewPolicy([]byte(text), Config{VRF: l.vrf.Public(), Policy: sha256.Sum256([]byte(text))})
		t.Run(name, func(t *testing.T) { refusedBy(t, "V-181", err) })
	}
	_, err := NewPolicy([]byte(good), Config{VRF: l.vrf.Public()})
	refusedBy(t, "V-181", err)
	_, err = NewVRFKey([32]byte{})
	refusedBy(t, "V-181", err)
	none := logs + "quorum none\n"
	p, err := NewPolicy([]byte(none), Config{VRF: l.vrf.Public(), Policy: sha256.Sum256([]byte(none))})
	if err != nil {
		t.Fatal(err)
	}
	l.policy = p
	l.publish(record("alice", 2))
	l.epoch()
	a := l.answer("alice", Known{})
	a.Checkpoint = withoutLine(withoutLine(a.Checkpoint, 2), 2)
	if v, err := l.check(a, Known{}); err != nil || !v.Checkpoint.Newest.Equal(testNow()) {
		t.Errorf("a log without witnesses: %v", err)
	}
}

func TestV196ReplayFindsOtherRoots(t *testing.T) {
	l := town(1)
	r := NewReplay()
	index, _ := l.vrf.Prove(account.Name("alice"))
	refusedBy(t, "V-196", r.Add(Update{Index: index, Version: 1}))
	if err := r.Add(Update{Index: index}); err != nil {
		t.Fatal(err)
	}
	refusedBy(t, "V-196", r.Add(Update{Index: index}))
	refusedBy(t, "V-196", r.Add(Update{Index: index, Version: 2}))
	own := must(r.Root(7))
	if err := r.Check(own); err != nil {
		t.Error(err)
	}
	for _, spoil := range []func(*Root){
		func(x *Root) { x.Updates++ }, func(x *Root) { x.UpdatesRoot[0]++ }, func(x *Root) { x.MapRoot[0]++ },
	} {
		other := own
		spoil(&other)
		refusedBy(t, "V-196", r.Check(other))
	}
}
