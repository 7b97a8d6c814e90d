package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/internal/reject"
)

// ReadRules reads a file of this project's own vectors. A field that the
// target does not have is an error: nothing in the file goes unused.
func ReadRules(t testing.TB, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatal(err)
	}
}

// Verdicts hold the outcomes of calls against what a file of rule vectors says
// of them. The zero value has seen none.
type Verdicts struct {
	accepted int
	refused  map[string]int // by rule
}

// Of judges one call: with rule "" it must have succeeded, else that rule must
// have refused it. It reports whether the call rightly succeeded.
func (v *Verdicts) Of(t testing.TB, name, rule string, err error) bool {
	t.Helper()
	var refusal *reject.Error
	switch {
	case rule == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case rule == "":
		v.accepted++
		return true
	case !errors.As(err, &refusal) || refusal.Check != rule:
		t.Errorf("%s: got %v, want a refusal by %s", name, err, rule)
	default:
		if v.refused == nil {
			v.refused = map[string]int{}
		}
		v.refused[rule]++
	}
	return false
}

// Cover demands that some vector breaks each rule of one table of the check
// register, such as "15.1", or that a reason says why none does.
func (v *Verdicts) Cover(t testing.TB, spec, table string, reasons map[string]string) {
	t.Helper()
	refused := 0
	for _, id := range registered(t, spec, table) {
		refused += v.refused[id]
		if (v.refused[id] > 0) == (reasons[id] != "") {
			t.Errorf("%s: %d vectors break it, reason to have none: %q", id, v.refused[id], reasons[id])
		}
	}
	t.Logf("%d vectors: %d accepted, %d refused by %d rules", v.accepted+refused, v.accepted, refused, len(v.refused))
}

var (
	registerRow = regexp.MustCompile(`(?m)^\| (V-\d+) \|`)
	nextHeading = regexp.MustCompile(`(?m)^##`)
)

// registered lists the rules of one table of the register.
func registered(t testing.TB, spec, table string) (ids []string) {
	t.Helper()
	text, err := os.ReadFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(text), "\n### "+table+" ")
	if end := nextHeading.FindStringIndex(part); end != nil {
		part = part[:end[0]]
	}
	for _, row := range registerRow.FindAllStringSubmatch(part, -1) {
		ids = append(ids, row[1])
	}
	if len(ids) < 20 {
		t.Fatalf("only %d rules in table %s", len(ids), table)
	}
	return ids
}
