package formal

import (
	"testing"
	"time"

	"github.com/posthorn/posthorn/formal/check"
)

// mostClauses bounds the work on one query; none needs a tenth of it.
const mostClauses = 200_000

// TestModelAnswers decides every query of every model with our own checker and
// compares the answers with the expected ones.
func TestModelAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("some CPU time; run without -short")
	}
	for _, name := range modelNames() {
		t.Run(name, func(t *testing.T) {
			text := model(t, name)
			m, err := check.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range expected(t, name, text) {
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

func modelNames() []string {
	names := bases
	for _, m := range mutants {
		names = append(names, m.name)
	}
	return names
}
