package vectors

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Tally counts the tests of one file in one package, and at the end of its
// test holds the counts against the table.
type Tally struct {
	t     testing.TB
	row   Row
	runs  map[string]int
	skips map[string]int
}

// Count begins to count. The file needs a row for the package in the table.
// The comparison happens when t ends, so it cannot be forgotten.
func Count(t testing.TB, pkg, file string) *Tally {
	t.Helper()
	i := slices.IndexFunc(Rows, func(r Row) bool { return r.Package == pkg && r.File == file })
	if i < 0 {
		t.Fatalf("internal/vectors has no row for %s in %s", file, pkg)
	}
	tally := &Tally{t, Rows[i], map[string]int{}, map[string]int{}}
	t.Cleanup(tally.end)
	return tally
}

// Ran counts one test that was run, by its outcome. Call it only after the
// assertions of that test.
func (c *Tally) Ran(outcome string) { c.runs[outcome]++ }

// Skipped counts one test that this package cannot run, with the reason.
func (c *Tally) Skipped(reason string) { c.skips[reason]++ }

func (c *Tally) end() {
	c.t.Helper()
	c.t.Log(c.row.line(c.runs, c.skips))
	if got := sum(c.runs) + sum(c.skips); got != c.row.Holds {
		c.t.Errorf("%s: %d tests were seen, the table says that it holds %d", c.row.File, got, c.row.Holds)
	}
	if !maps.Equal(c.runs, c.row.Runs) {
		c.t.Errorf("%s: ran\n%s, the table wants\n%s", c.row.File, list(c.runs), list(c.row.Runs))
	}
	if !maps.Equal(c.skips, c.row.Skips) {
		c.t.Errorf("%s: left out\n%s, the table wants\n%s", c.row.File, list(c.skips), list(c.row.Skips))
	}
}

// line is one line of the report.
func (r Row) line(runs, skips map[string]int) string {
	text := fmt.Sprintf("%s: %d tests, %d run, %d left out", r.File, r.Holds, sum(runs), sum(skips))
	return text + list(runs) + list(skips)
}

func list(counts map[string]int) string {
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "\n        %5d %s", counts[what], what)
	}
	return b.String()
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
