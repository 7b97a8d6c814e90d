package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"strconv"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/chart"
)

//go:embed page.html
var pageText string

// view is what the template sees.
type view struct {
	Note            string
	Style           template.CSS
	Levels          []Row
	Finding         string // over the table of Levels
	About           string // what the figures of Levels come from
	Sections        []shown
	Head            []string
	Rows            [][]string
	Command, Verify string
}

type shown struct {
	Section
	Wide, Slim template.HTML
}

// page is report.html.
func page(r *attacklab.Results, sections []Section) ([]byte, error) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	v := view{
		Note: r.Note, Style: template.CSS(chart.Style), Levels: LevelTable(r),
		Command: "go run ./cmd/posthorn-lab run" + arguments(r.Options) + " --out DIR", Verify: "go run ./cmd/posthorn-lab verify DIR",
	}
	v.Finding, v.About = levelFinding(v.Levels), levelScenario(r, v.Levels)
	for _, s := range sections { // our own writer escaped every text in a chart
		v.Sections = append(v.Sections, shown{s, template.HTML(chart.Inline(s.SVG)), template.HTML(chart.Inline(s.Narrow))})
	}
	v.Head = []string{"scenario", "level", "attacker", "seized before text", "texts", "read", "share", "before the seizure", "opening", "window, texts", "window, turns", "heals"}
	for _, x := range r.Readings {
		v.Rows = append(v.Rows, []string{x.Scenario, x.Level, x.Attacker, moments(x), strconv.Itoa(x.Texts), strconv.Itoa(x.Read), Share(x),
			strconv.Itoa(x.Before), strconv.Itoa(x.Opening), strconv.Itoa(x.Window), strconv.Itoa(x.WindowTurns), yesNo(x.Healed)})
	}
	var b bytes.Buffer
	err = t.Execute(&b, v)
	return b.Bytes(), err
}
