package formal

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// bases are the models whose mutants are the other .pv files.
var bases = []string{"pq3_start.pv", "pq3a_start.pv", "pq3_ratchet.pv"}

var (
	expectation = regexp.MustCompile(`\(\* EXPECT: query (\d+): (true|false) \*\)\nquery `)
	comment     = regexp.MustCompile(`(?s)\(\*.*?\*\)`)
	queryStart  = regexp.MustCompile(`(?m)^query `)
)

func model(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// expected reads what a model says about its own queries, in their order.
func expected(t *testing.T, name, text string) (answers []bool) {
	t.Helper()
	for i, m := range expectation.FindAllStringSubmatch(text, -1) {
		if m[1] != strconv.Itoa(i+1) {
			t.Fatalf("%s: EXPECT %d stands where %d is due", name, i, i+1)
		}
		answers = append(answers, m[2] == "true")
	}
	return answers
}

// TestModelExpectations wants one expected answer before each query, in order,
// and no mark of an expectation anywhere else.
func TestModelExpectations(t *testing.T) {
	names, err := filepath.Glob("*.pv")
	if err != nil {
		t.Fatal(err)
	}
	if want := len(bases) + len(mutants); len(names) != want {
		t.Errorf("%d .pv files, the tables of bases and mutants have %d", len(names), want)
	}
	for _, name := range names {
		text := model(t, name)
		queries := len(queryStart.FindAllString(comment.ReplaceAllString(text, ""), -1))
		answers := expected(t, name, text)
		if len(answers) != queries || strings.Count(text, "EXPECT:") != queries || queries == 0 {
			t.Errorf("%s: %d queries, %d expected answers before them, %d marks", name, queries, len(answers), strings.Count(text, "EXPECT:"))
		}
		if strings.Count(text, "\n") > 500 {
			t.Errorf("%s: more than 500 lines", name)
		}
	}
}

// TestMutantExpectations wants each mutant to differ from its base in the
// queries that its row names, all of which the base answers with true.
func TestMutantExpectations(t *testing.T) {
	for _, m := range mutants {
		base := expected(t, m.base, model(t, m.base))
		own := expected(t, m.name, model(t, m.name))
		if len(own) != len(base) || len(m.breaks) == 0 {
			t.Errorf("%s: %d answers, its base has %d; it breaks %d queries", m.name, len(own), len(base), len(m.breaks))
			continue
		}
		for i := range base {
			broken := slices.Contains(m.breaks, i+1)
			if broken && (!base[i] || own[i]) || !broken && base[i] != own[i] {
				t.Errorf("%s: query %d is expected %t, in its base %t, broken by its row: %t", m.name, i+1, own[i], base[i], broken)
			}
		}
	}
}
