// Package report turns the lab's results into files: run.json, results.csv,
// charts and one page, report.html, for people who were not there. The page has
// no scripts and loads nothing. Equal results give equal bytes.
package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strconv"

	"github.com/posthorn/posthorn/attacklab"
)

// The names of the files that are no charts.
const (
	RunFile    = "run.json"
	CSVFile    = "results.csv"
	ReportFile = "report.html"
	// TimesFile holds processor times, which no seed reproduces. It is none of
	// Files.
	TimesFile = "timings.json"
)

// Files are all files of a result, by name.
func Files(r *attacklab.Results) (map[string][]byte, error) {
	files := map[string][]byte{CSVFile: table(r)}
	var err error
	if files[RunFile], err = JSON(r); err != nil {
		return nil, err
	}
	sections := sections(r)
	for _, s := range sections {
		if s.SVG != nil {
			files[s.ID+".svg"] = s.SVG
		}
	}
	if files[ReportFile], err = page(r, sections); err != nil {
		return nil, err
	}
	return files, nil
}

// Names are the names of all files that any result may have, TimesFile
// included.
func Names() []string {
	return []string{
		RunFile, CSVFile, ReportFile, TimesFile,
		"seizure.svg", "strips.svg", "healing.svg", "trade-off.svg", "bytes.svg",
	}
}

// JSON is the form of run.json and of --json, with the schema's name first.
func JSON(r *attacklab.Results) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(r)
	return b.Bytes(), err
}

// table is results.csv: one line for each attacker on each conversation.
func table(r *attacklab.Results) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	write := func(row ...string) { _ = w.Write(row) } // a Buffer takes everything
	write("scenario", "level", "seed", "attacker", "seized", "texts", "read", "read_percent", "read_before_seizure",
		"read_opening_by_stolen_prekey", "window_texts", "window_direction_changes", "window_seconds", "healed", "oracle_questions")
	for _, x := range r.Readings {
		write(x.Scenario, x.Level, strconv.FormatUint(x.Seed, 10), x.Attacker, moments(x), strconv.Itoa(x.Texts), strconv.Itoa(x.Read),
			percent(x.Read, x.Texts), strconv.Itoa(x.Before), strconv.Itoa(x.Opening), strconv.Itoa(x.Window), strconv.Itoa(x.WindowTurns),
			strconv.FormatInt(x.WindowSeconds, 10), strconv.FormatBool(x.Healed), strconv.Itoa(x.Questions))
	}
	w.Flush()
	return b.Bytes()
}

func moments(x attacklab.Reading) (words string) {
	for i, m := range x.Seized {
		if i > 0 {
			words += " "
		}
		words += m.Device + "@" + strconv.Itoa(m.Message)
	}
	return words
}

// percent has one digit behind the point, and none where there is nothing or
// everything.
func percent(part, whole int) string {
	switch {
	case part == 0 || whole == 0:
		return "0"
	case part == whole:
		return "100"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64)
}

// Share is how much of its conversation an attacker read, as "7.2 %", with a
// space that does not break.
func Share(x attacklab.Reading) string { return percent(x.Read, x.Texts) + "\u00a0%" }

// tenths writes a number that is kept in tenths.
func tenths(n int) string { return strconv.FormatFloat(float64(n)/10, 'f', 1, 64) }
