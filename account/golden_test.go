package account

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// goldenRoster is testdata/roster.json: statements made with fixed keys and
// without randomness. Other implementations can replay them.
type goldenRoster struct {
	About      string   `json:"about"`
	AccountID  string   `json:"account_id"`
	Head       string   `json:"head"`
	Statements []string `json:"statements"`
	Bundle     string   `json:"bundle"`
	BundleHash string   `json:"bundle_hash"`
	Context    string   `json:"session_context"`
}

func TestGoldenRoster(t *testing.T) {
	h := newHousehold(t)
	owner := Party{h.ID(), h.phone.Device}
	bundle := testBundle(t, h.phone, owner, PQ3A)
	head, hash := h.Head(), bundle.Hash()
	got := goldenRoster{
		About:     "statement 0 by a phone; statement 1 adds a laptop and sets a recovery key; the phone's PQ3A bundle; dst(phone, laptop)",
		AccountID: h.ID().String(), Head: hex.EncodeToString(head[:]),
		Bundle: hex.EncodeToString(bundle.Marshal()), BundleHash: hex.EncodeToString(hash[:]),
		Context: hex.EncodeToString(SessionContext(PQ3A, owner, Party{h.ID(), h.laptop.Device})),
	}
	for _, s := range h.Statements() {
		got.Statements = append(got.Statements, hex.EncodeToString(s))
	}
	text := append(must(json.MarshalIndent(got, "", "  ")), '\n')
	if *update {
		if err := os.WriteFile("testdata/roster.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := must(os.ReadFile("testdata/roster.json")); string(want) != string(text) {
		t.Fatal("testdata/roster.json has other bytes: a frozen format changed")
	}
}

// The committed bytes alone, without the code that made them, replay.
func TestGoldenRosterReplays(t *testing.T) {
	var golden goldenRoster
	if err := json.Unmarshal(must(os.ReadFile("testdata/roster.json")), &golden); err != nil {
		t.Fatal(err)
	}
	var statements [][]byte
	for _, s := range golden.Statements {
		statements = append(statements, must(hex.DecodeString(s)))
	}
	r := must(ReplayRoster(statements))
	bundle := must(ParseBundle(must(hex.DecodeString(golden.Bundle))))
	if err := bundle.Verify(Party{r.ID(), r.Devices()[0]}, testTime); err != nil {
		t.Fatal(err)
	}
	if r.ID().String() != golden.AccountID || len(r.Devices()) != 2 || r.Recovery() == nil {
		t.Fatal("another roster came out")
	}
}
