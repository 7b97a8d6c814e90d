package machine

import (
	"fmt"
	"strings"
	"testing"
)

// verdict notes how a test ended, and lets it go on.
type verdict struct {
	testing.TB
	failed, skipped string
}

func (v *verdict) Helper() {}

func (v *verdict) Fatalf(format string, args ...any) { v.failed = fmt.Sprintf(format, args...) }

func (v *verdict) Skip(args ...any) { v.skipped = fmt.Sprint(args...) }

func TestCountIsWholeInCI(t *testing.T) {
	for ci, want := range map[string]int{"": 2, "1": 3} {
		t.Setenv("POSTHORN_CI", ci)
		if testing.Short() {
			want = 1
		}
		if got := Count(1, 2, 3); got != want {
			t.Errorf("POSTHORN_CI=%q: %d, want %d", ci, got, want)
		}
	}
}

func TestMissingToolSkipsOrFails(t *testing.T) {
	for ci, want := range map[string]func(*verdict) bool{
		"":  func(v *verdict) bool { return v.failed == "" && strings.Contains(v.skipped, "no-such-tool") },
		"1": func(v *verdict) bool { return strings.Contains(v.failed, "no-such-tool") },
	} {
		t.Setenv("POSTHORN_CI", ci)
		v := &verdict{TB: t}
		if Tool(v, "no-such-tool", "nowhere"); !want(v) {
			t.Errorf("POSTHORN_CI=%q: skipped %q, failed %q", ci, v.skipped, v.failed)
		}
		v = &verdict{TB: t}
		if path := Tool(v, "go", "golang"); path == "" || v.failed != "" || v.skipped != "" {
			t.Errorf("a tool that is there is not found: %+v", v)
		}
	}
}
