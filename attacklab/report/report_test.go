package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/internal/machine"
)

var write = flag.Bool("write", false, "rewrite the documents with the figures of a new run")

// quick is a short run of everything, the same for all tests. Nobody changes it.
func quick(t *testing.T) *attacklab.Results {
	t.Helper()
	r, err := quickRun()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var quickRun = sync.OnceValues(func() (*attacklab.Results, error) {
	o, err := attacklab.Select([]string{"alternation", "active", "bursts-10"}, nil, nil, 0, true)
	if err != nil {
		return nil, err
	}
	return attacklab.Run(o, nil)
})

// TestFilesRepeat: two runs of one seed give the same bytes, another seed
// others, and run.json alone is enough to make them again.
func TestFilesRepeat(t *testing.T) {
	first, err := Files(quick(t))
	if err != nil {
		t.Fatal(err)
	}
	var kept attacklab.Results
	if err := json.Unmarshal(first[RunFile], &kept); err != nil || kept.Schema != "posthorn.lab/1" {
		t.Fatal(err, kept.Schema)
	}
	again, err := attacklab.Run(kept.Options, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Files(again)
	if err != nil || len(first) != len(second) {
		t.Fatal(err)
	}
	for name := range first {
		if !bytes.Equal(first[name], second[name]) {
			t.Errorf("%s differs between two runs", name)
		}
	}
	kept.Options.Seed = 1
	other, err := attacklab.Run(kept.Options, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := JSON(other); bytes.Equal(b, first[RunFile]) {
		t.Error("another seed gives the same results")
	}
}

// TestPageStandsAlone: no scripts, nothing loaded, ids used once, and the plain
// words about what is simulated.
func TestPageStandsAlone(t *testing.T) {
	r := quick(t)
	files, err := Files(r)
	if err != nil {
		t.Fatal(err)
	}
	html := string(files[ReportFile])
	for _, never := range []string{"<script", "javascript:", "http://", "https://", " src=", "@import", "url("} {
		if rest := strings.ReplaceAll(html, `xmlns="http://www.w3.org/2000/svg"`, ""); strings.Contains(rest, never) {
			t.Errorf("the page has %q", never)
		}
	}
	for _, always := range []string{attacklab.Note, `lang="en"`, "prefers-color-scheme", `role="img"`, "Make it again"} {
		if !strings.Contains(html, always) {
			t.Errorf("the page lacks %q", always)
		}
	}
	for name := range files {
		if !slices.Contains(Names(), name) {
			t.Errorf("%s is none of Names", name)
		}
	}
	for _, s := range sections(r) {
		if strings.Count(html, `id="`+s.ID+`-h"`) != 1 || s.Finding == "" || len(s.Rows) == 0 {
			t.Errorf("section %s: no finding, no figures, or an id that is not unique", s.ID)
		}
		for _, row := range s.Rows {
			if len(row) != len(s.Head) {
				t.Errorf("section %s: a row of %d cells under a head of %d", s.ID, len(row), len(s.Head))
			}
		}
	}
	rows, err := csv.NewReader(bytes.NewReader(files[CSVFile])).ReadAll()
	if err != nil || len(rows) != len(r.Readings)+1 {
		t.Errorf("results.csv has %d rows, %v", len(rows), err)
	}
}

// TestPageOfNothing: a run without attackers has a page that says so, and no
// empty tables.
func TestPageOfNothing(t *testing.T) {
	o, err := attacklab.Select([]string{"active"}, []string{"0"}, nil, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	r, err := attacklab.Run(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Files(r)
	if err != nil {
		t.Fatal(err)
	}
	html := string(files[ReportFile])
	if !strings.Contains(html, "Nobody who only listens") || strings.Contains(html, "<table") || !strings.Contains(html, "Make it again") {
		t.Errorf("%s", html)
	}
}

func TestRefreshKnowsItsBlocks(t *testing.T) {
	r := &attacklab.Results{}
	got, err := Refresh("a\n<!-- lab: active -->\nold\n<!-- end of lab -->\nb\n", r)
	if err != nil || got != "a\n<!-- lab: active -->\n<!-- end of lab -->\nb\n" {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"<!-- lab: active -->\nold\n", "<!-- lab: nothing -->\n<!-- end of lab -->"} {
		if _, err := Refresh(bad, r); !errors.Is(err, ErrBlock) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestDocumentsAreFresh: the tables in README and docs/levels.md and the charts
// beside them are those of a run made now. 'make lab' rewrites them.
func TestDocumentsAreFresh(t *testing.T) {
	if !machine.Strict() && !*write {
		t.Skip("a full run takes half a minute; 'make lab' rewrites them, and CI compares them")
	}
	o, err := attacklab.Select(nil, nil, nil, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	r, err := attacklab.Run(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Files(r)
	if err != nil {
		t.Fatal(err)
	}
	fresh := map[string][]byte{}
	for name, content := range files {
		if strings.HasSuffix(name, ".svg") || name == CSVFile {
			fresh[filepath.Join("docs/lab", name)] = content
		}
	}
	for _, name := range []string{"README.md", "docs/levels.md"} {
		old, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		text, err := Refresh(string(old), r)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, blockBegin) {
			t.Errorf("%s has no figures of the lab", name)
		}
		fresh[name] = []byte(text)
	}
	for name, content := range fresh {
		name = filepath.Join("../..", name)
		if *write {
			if err := os.WriteFile(name, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s is stale (%v): run 'make lab' and read the difference", name, err)
		}
	}
}
