package report

import (
	"strings"
	"testing"

	"github.com/posthorn/posthorn/attacklab"
)

// TestFindingsFollowTheFigures: a sentence over a chart says what this run found,
// with one and with many, healed and not.
func TestFindingsFollowTheFigures(t *testing.T) {
	r := &attacklab.Results{
		Readings: []attacklab.Reading{{
			Scenario: "s", Level: "3A", Attacker: "recording + seize bob at random + quantum", Texts: 4, Read: 1, Window: 1, Healed: true, Strip: "..#.",
			Seized: []attacklab.Moment{{Device: "bob", Message: 2}},
		}},
		Sweep: []attacklab.Point{
			{Level: "0", Message: 1, Texts: 4, Quantum: 4}, {Level: "1", Message: 1, Texts: 4, Quantum: 4}, {Level: "3A", Message: 1, Texts: 4, Quantum: 1},
		},
		Healing: []attacklab.Healing{
			{Scenario: "bursts-10", Way: "paced", Interval: 50, Bytes: 100, Mean: 400},
			{Scenario: "bursts-10", Way: "every message", Interval: 50, Bytes: 300, Mean: 300},
		},
	}
	want := func(section func(*attacklab.Results) (Section, bool), words string) {
		t.Helper()
		s, ok := section(r)
		if got := strings.ReplaceAll(s.Finding, "\u00a0", " "); !ok || !strings.Contains(got, words) {
			t.Errorf("%q lacks %q", got, words)
		}
	}
	want(strips, "for 1 more text, and then never again")
	want(seizures, "100 % at Levels 0 and 1, 25 % at Level 3A.")
	want(tradeOff, "10.0 bytes a message where sending them on every message takes 30.0, and heals after 40.0 texts on average instead of 30.0")
	r.Readings[0].Healed = false
	want(strips, "too short to heal")
	r.Healing[1].Mean = 400
	want(tradeOff, "heals as soon")
}
