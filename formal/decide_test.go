package formal

import (
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/posthorn/posthorn/formal/check"
	"github.com/posthorn/posthorn/internal/machine"
)

// mostClauses bounds the work on one query; none needs a tenth of it.
const mostClauses = 200_000

var all = flag.Bool("all", false, "decide also the queries that a mutant must not break")

// TestModelAnswers decides the queries of the models with our own checker and
// compares the answers with the expected ones: every query of a base, and of a
// mutant those that it breaks, or with -all every one.
func TestModelAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("some CPU time; run without -short")
	}
	for _, name := range modelNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "pq3_ratchet.pv" && !*all && !machine.Strict() {
				t.Skip("minutes of CPU time; run with -all, or with POSTHORN_CI=1 as CI does")
			}
			text := model(t, name)
			m, err := check.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range expected(t, name, text) {
				if broken := brokenBy(name); broken != nil && !*all && !slices.Contains(broken, i+1) {
					continue
				}
				from := time.Now()
				v, err := m.Decide(i, mostClauses)
				if err != nil {
					t.Errorf("query %d: %v", i+1, err)
					continue
				}
				t.Logf("query %d: %t, %d clauses, %.2f s %s", i+1, v.True, v.Clauses, time.Since(from).Seconds(), v.Why)
				if v.True != want {
					t.Errorf("query %d: the checker says %t, the model expects %t", i+1, v.True, want)
				}
			}
		})
	}
}

// brokenBy lists the queries that a mutant breaks; nil for a base.
func brokenBy(name string) []int {
	for _, m := range mutants {
		if m.name == name {
			return m.breaks
		}
	}
	return nil
}

func modelNames() []string {
	names := slices.Clone(bases)
	for _, m := range mutants {
		names = append(names, m.name)
	}
	return names
}
