package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"strconv"

	"github.com/posthorn/posthorn/attacklab"
)

//go:embed page.html
var pageText string

// view is what the template sees.
type view struct {
	Note     string
	Summary  []levelRow
	Sections []shown
	Head     []string
	Rows     [][]string
	Command  string
	Texts    int
}

type shown struct {
	Section
	Chart template.HTML
}

// levelRow is a level with what the main attackers read of one conversation.
type levelRow struct {
	Key, Name, Meaning, Apps         string
	Scenario                         string
	Server, Quantum, Thief, Everyone string
}

// Attackers are those of the level table, by the columns of Summary.
var attackers = [4]string{
	"server", "recording + quantum", "recording + seize bob at random", "recording + seize bob at random + quantum",
}

// page is report.html.
func page(r *attacklab.Results, sections []Section) ([]byte, error) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	v := view{Note: r.Note, Command: "go run ./cmd/posthorn-lab run" + arguments(r.Options) + " --out DIR"}
	for _, s := range sections {
		v.Sections = append(v.Sections, shown{s, template.HTML(s.SVG)}) // our own writer escaped every text in it
	}
	v.Summary = summary(r)
	v.Head = []string{"scenario", "level", "attacker", "seized before text", "texts", "read", "share", "before the seizure", "opening", "window, texts", "window, turns", "heals"}
	for _, x := range r.Readings {
		v.Texts += x.Texts
		v.Rows = append(v.Rows, []string{x.Scenario, x.Level, x.Attacker, moments(x), strconv.Itoa(x.Texts), strconv.Itoa(x.Read), percent(x.Read, x.Texts) + "\u00a0%",
			strconv.Itoa(x.Before), strconv.Itoa(x.Opening), strconv.Itoa(x.Window), strconv.Itoa(x.WindowTurns), yesNo(x.Healed)})
	}
	var b bytes.Buffer
	err = t.Execute(&b, v)
	return b.Bytes(), err
}

// summary is the level table with the figures of the first scenario in which
// all of its attackers come.
func summary(r *attacklab.Results) (rows []levelRow) {
	for _, l := range attacklab.Levels() {
		row := levelRow{Key: l.Key, Name: l.Name, Meaning: l.Meaning, Apps: l.Apps}
		cells := [4]*string{&row.Server, &row.Quantum, &row.Thief, &row.Everyone}
		for _, x := range r.Readings {
			for i, a := range attackers {
				if x.Level == l.Key && x.Attacker == a && *cells[i] == "" && (row.Scenario == "" || row.Scenario == x.Scenario) {
					row.Scenario = x.Scenario
					*cells[i] = percent(x.Read, x.Texts) + "\u00a0%"
				}
			}
		}
		if row.Server != "" {
			rows = append(rows, row)
		}
	}
	return rows
}

// Row is a level with its figures, for a terminal and for documents.
type Row struct {
	Key, Name, Meaning, Apps string
	Scenario                 string    // whose figures they are
	Read                     [4]string // server; recording + quantum; thief; thief + quantum
}

// LevelTable is the level table with the figures of a result.
func LevelTable(r *attacklab.Results) (rows []Row) {
	for _, s := range summary(r) {
		rows = append(rows, Row{s.Key, s.Name, s.Meaning, s.Apps, s.Scenario, [4]string{s.Server, s.Quantum, s.Thief, s.Everyone}})
	}
	return rows
}
