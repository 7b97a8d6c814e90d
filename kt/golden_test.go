package kt

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden is testdata/transparency.json: a log made with fixed keys and without
// randomness. Other implementations can check it step by step.
type golden struct {
	About      string   `json:"about"`
	VRFSecret  string   `json:"vrf_secret"`
	Name       string   `json:"name"`
	VRFProof   string   `json:"vrf_proof"`
	Index      string   `json:"index"`
	Records    []string `json:"records"`
	Openings   []string `json:"openings"`
	Commitment []string `json:"commitments"`
	Values     []string `json:"values"`
	Policy     string   `json:"policy"`
	Roots      []string `json:"roots"`
	KnownSize  uint64   `json:"known_size"`
	KnownRoot  string   `json:"known_root"`
	Now        uint64   `json:"now"`
	Answer     string   `json:"answer"`
	Absent     string   `json:"absent_answer"`
	Head       string   `json:"head"`
	Evidence   string   `json:"evidence"`
}

func goldenNow() golden {
	l := town(1)
	secret := [32]byte(l.vrf.key.Bytes())
	index, proof := l.vrf.Prove("alice")
	root := l.root(3)
	known := Known{Size: 3, Root: root, Label: &Label{0, l.values["alice"][0]}}
	g := golden{
		About:     "alice has versions 0 to 2; the answer is for who knows version 0 and three entries of R; absent_answer is about the name nobody, for who knows nothing",
		VRFSecret: hexOf(secret[:]), Name: "alice", VRFProof: hexOf(proof[:]), Index: hexOf(index[:]),
		Policy: hexOf(l.policy.Marshal()), KnownSize: 3, KnownRoot: hexOf(root[:]), Now: testStart * 1000,
		Answer: hexOf(l.answer("alice", known).Marshal()), Absent: hexOf(l.answer("nobody", Known{}).Marshal()),
		Head: hexOf(must(l.policy.Checkpoint(l.checkpoint(5))).Head.Marshal()), Evidence: string(forked().Marshal()),
	}
	for v := range 3 {
		o := opening("alice", v)
		g.Records = append(g.Records, hexOf(record("alice", uint64(v)).Marshal()))
		g.Openings = append(g.Openings, hexOf(o[:]))
		g.Commitment = append(g.Commitment, hexOf(l.history["alice"][v][:]))
		g.Values = append(g.Values, hexOf(l.values["alice"][v][:]))
	}
	for _, entry := range l.roots {
		g.Roots = append(g.Roots, hexOf(entry))
	}
	return g
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func unhex(s string) []byte { return must(hex.DecodeString(s)) }

func TestGoldenTransparency(t *testing.T) {
	text := append(must(json.MarshalIndent(goldenNow(), "", "  ")), '\n')
	if *update {
		if err := os.WriteFile("testdata/transparency.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := must(os.ReadFile("testdata/transparency.json")); string(want) != string(text) {
		t.Fatal("testdata/transparency.json has other bytes: a frozen format changed")
	}
}

// The committed bytes alone, without the code that made them, are verified.
func TestGoldenTransparencyVerifies(t *testing.T) {
	var g golden
	if err := json.Unmarshal(must(os.ReadFile("testdata/transparency.json")), &g); err != nil {
		t.Fatal(err)
	}
	policy := must(ParsePolicy(unhex(g.Policy)))
	known := Known{Size: g.KnownSize, Root: [32]byte(unhex(g.KnownRoot)), Label: &Label{0, Value(unhex(g.Values[0]))}}
	r := must(ParseRecord(unhex(g.Records[2])))
	now := time.UnixMilli(int64(g.Now))
	v, err := policy.Verify(must(ParseAnswer(unhex(g.Answer))), r.Name, &r, known, now)
	if err != nil || hexOf(v.Label.Value[:]) != g.Values[2] || hexOf(v.Place.Index[:]) != g.Index || hexOf(v.Checkpoint.Head.Marshal()) != g.Head {
		t.Errorf("the answer: %+v, %v", v, err)
	}
	if v, err := policy.Verify(must(ParseAnswer(unhex(g.Absent))), "nobody", nil, Known{}, now); err != nil || v.Label != nil {
		t.Errorf("the absent name: %v", err)
	}
	if _, err := must(ParseEvidence([]byte(g.Evidence))).Verify(); err != nil {
		t.Errorf("the evidence: %v", err)
	}
}

// goldenChanges is testdata/policies.json: a log that changed its policy twice.
type goldenChanges struct {
	About   string   `json:"about"`
	First   string   `json:"first_policy"`
	Changes []string `json:"changes"`
	Chain   []string `json:"chain"`    // the ends of it after each change
	Roots   []string `json:"roots"`    // all entries of R
	Newest  string   `json:"newest"`   // checkpoint
	Last    string   `json:"policy"`   // that the changes lead to, as stored
	Refused string   `json:"evidence"` // of a change that was left out
}

func goldenChangesNow() goldenChanges {
	l, changes, newest := moved()
	last := must(l.policy.Follow(changes, newest))
	left := &Evidence{Kind: KindPolicy, At: testStart * 1000, Check: "V-282", Policy: l.policy, Changes: changes[1:], Notes: [2][]byte{newest}}
	g := goldenChanges{
		About: "from two witnesses to another one, and from that to a third; the newest checkpoint has the third's signature alone",
		First: hexOf(l.policy.Marshal()), Newest: string(newest), Last: hexOf(last.Marshal()), Refused: string(left.Marshal()),
	}
	for _, c := range changes {
		g.Changes = append(g.Changes, hexOf(c.Marshal()))
		g.Chain = append(g.Chain, hexOf(c.Root.Standing.Chain[:]))
	}
	for _, entry := range l.roots {
		g.Roots = append(g.Roots, hexOf(entry))
	}
	return g
}

func TestGoldenPolicies(t *testing.T) {
	text := append(must(json.MarshalIndent(goldenChangesNow(), "", "  ")), '\n')
	if *update {
		if err := os.WriteFile("testdata/policies.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw := must(os.ReadFile("testdata/policies.json"))
	if string(raw) != string(text) {
		t.Fatal("testdata/policies.json has other bytes: a frozen format changed")
	}
	var g goldenChanges
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	var changes []*Change
	for _, c := range g.Changes {
		changes = append(changes, must(ParseChange(unhex(c))))
	}
	last, err := must(ParsePolicy(unhex(g.First))).Follow(changes, []byte(g.Newest))
	if err != nil || hexOf(last.Marshal()) != g.Last || hexOf(last.standing.Chain[:]) != g.Chain[1] {
		t.Errorf("the changes lead elsewhere: %v", err)
	}
	if _, err := must(ParseEvidence([]byte(g.Refused))).Verify(); err != nil {
		t.Errorf("the evidence: %v", err)
	}
}
