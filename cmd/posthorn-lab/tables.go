package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/report"
	"github.com/posthorn/posthorn/attacklab/scenario"
)

// summarise prints what was found, and where the rest is.
func (a *app) summarise(r *attacklab.Results, folder string) error {
	if err := a.levelTable(r); err != nil {
		return err
	}
	if len(r.Options.Scenarios) <= fewScenarios {
		for _, text := range r.Options.Scenarios {
			if err := a.attackerTable(r, text); err != nil {
				return err
			}
		}
	}
	if err := a.activeTable(r); err != nil {
		return err
	}
	where := "With --out DIR, the folder gets all figures, charts and a report."
	if folder != "" {
		where = "Open " + inFolder(folder, report.ReportFile)
	}
	_, err := fmt.Fprintf(a.stdout, "\n%s on %s. %s\n", counted(len(r.Readings)+len(r.Attempts), "attacker"), counted(len(r.Costs), "conversation"), where)
	return err
}

// fewScenarios is up to how many scenarios run prints every attacker.
const fewScenarios = 3

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func (a *app) table() *tabwriter.Writer { return tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0) }

// levelTable prints what the main attackers read of the first scenario that has
// them all, and what is simulated.
func (a *app) levelTable(r *attacklab.Results) error {
	w := a.table()
	if rows := report.LevelTable(r); len(rows) > 0 {
		fmt.Fprintf(w, "Shares of %s of the scenario %s that are read:\n\n", counted(rows[0].Texts, "text"), rows[0].Scenario)
		fmt.Fprintln(w, "level\tserver alone\trecording, quantum later\tseized device\tseized device, quantum later\tthe figures again with")
		for _, row := range rows {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Key, row.Read[0], row.Read[1], row.Read[2], row.Read[3], report.Command(r.Options, row))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, r.Note)
	return w.Flush()
}

// attackerTable prints what every attacker of one scenario read at every level.
func (a *app) attackerTable(r *attacklab.Results, text string) error {
	s, err := scenario.Parse(text)
	if err != nil || len(s.Attacks) == 0 {
		return err
	}
	w := a.table()
	fmt.Fprintf(w, "\n%s (%s): %s\n\nattacker", s.Title, s.Name, s.About)
	for _, key := range r.Options.Levels {
		fmt.Fprintf(w, "\t%s", key)
	}
	for _, attack := range s.Attacks {
		fmt.Fprintf(w, "\n%s", attack)
		for _, key := range r.Options.Levels {
			i := slices.IndexFunc(r.Readings, func(x attacklab.Reading) bool {
				return x.Scenario == s.Name && x.Level == key && x.Attacker == attack.String()
			})
			if i >= 0 {
				fmt.Fprintf(w, "\t%s", report.Share(r.Readings[i]))
			}
		}
	}
	fmt.Fprintln(w)
	return w.Flush()
}

// activeTable prints the attacks that send something.
func (a *app) activeTable(r *attacklab.Results) error {
	if len(r.Attempts) == 0 {
		return a.noAttempts(r)
	}
	w := a.table()
	fmt.Fprintln(w, "\nlevel\tattack\tsucceeds\twhat happened")
	for _, x := range r.Attempts {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", x.Level, x.Attack, map[bool]string{true: "yes", false: "no"}[x.Succeeded], x.Outcome)
	}
	return w.Flush()
}

// noAttempts says why scenarios with attackers who send show none.
func (a *app) noAttempts(r *attacklab.Results) (err error) {
	sends := func(text string) bool { return strings.Contains(text, "\nactive ") }
	if slices.ContainsFunc(r.Options.Scenarios, sends) {
		_, err = fmt.Fprintln(a.stdout, "\nAttackers who send are let loose on Levels 3 and 3A alone; neither was chosen.")
	}
	return err
}
