package report

import (
	"fmt"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/scenario"
)

// attackers are those of the level table, by the columns of Row.Read.
var attackers = [4]string{
	"server", "recording + quantum", "recording + seize bob at random", "recording + seize bob at random + quantum",
}

// Row is a level with what the main attackers read of one conversation.
type Row struct {
	Key, Name, Meaning, Apps string
	Scenario                 string    // whose figures they are
	Texts                    int       // that it has
	Read                     [4]string // server; recording + quantum; thief; thief + quantum
}

// LevelTable is the level table with the figures of the first scenario in which
// all of its attackers come.
func LevelTable(r *attacklab.Results) (rows []Row) {
	for _, l := range attacklab.Levels() {
		row := Row{Key: l.Key, Name: l.Name, Meaning: l.Meaning, Apps: l.Apps}
		for _, x := range r.Readings {
			for i, a := range attackers {
				if x.Level == l.Key && x.Attacker == a && row.Read[i] == "" && (row.Scenario == "" || row.Scenario == x.Scenario) {
					row.Scenario, row.Texts = x.Scenario, x.Texts
					row.Read[i] = Share(x)
				}
			}
		}
		if row.Read[0] != "" {
			rows = append(rows, row)
		}
	}
	return rows
}

// levelFinding says in a sentence what the level table says.
func levelFinding(rows []Row) string {
	reads := func(i int) string {
		return shares(rows, func(row Row) (level, share string) { return row.Key, row.Read[i] })
	}
	return "With a recording and, later, a quantum computer, an attacker reads " + reads(1) +
		". With a stolen device as well: " + reads(3) + "."
}

// levelScenario says which conversation the level table is about.
func levelScenario(r *attacklab.Results, rows []Row) string {
	for _, text := range r.Options.Scenarios {
		s, err := scenario.Parse(text)
		if err == nil && len(rows) > 0 && s.Name == rows[0].Scenario {
			return fmt.Sprintf("%d texts of the scenario %s: %s", rows[0].Texts, s.Name, s.About)
		}
	}
	return ""
}
