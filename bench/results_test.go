package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// outcome is one measured row as it is kept and printed.
type outcome struct {
	Name        string  `json:"name"`
	Ours        float64 `json:"ours_us"`
	OursAllocs  uint64  `json:"ours_allocs"`
	OursBytes   uint64  `json:"ours_bytes"`
	Floor       float64 `json:"floor_us,omitempty"`
	FloorAllocs uint64  `json:"floor_allocs,omitempty"`
	FloorBytes  uint64  `json:"floor_bytes,omitempty"`
	Ratio       float64 `json:"ratio,omitempty"`
	Most        float64 `json:"most,omitempty"`
}

func (r row) outcome(ours, floor measured, ratio float64) outcome {
	if r.floor == nil {
		ratio = 0
	}
	return outcome{r.name, tenth(ours.cpu), ours.allocs, ours.bytes, tenth(floor.cpu), floor.allocs, floor.bytes, math.Round(ratio*100) / 100, r.most}
}

// tenth is a time in microseconds with one digit.
func tenth(d time.Duration) float64 { return math.Round(float64(d.Nanoseconds())/100) / 10 }

func (o outcome) line() string {
	text := fmt.Sprintf("%-38s %8.1f  %5d allocs %7d B", o.Name, o.Ours, o.OursAllocs, o.OursBytes)
	if o.Ratio == 0 {
		return text
	}
	text += fmt.Sprintf(" | %8.1f  %5d allocs %7d B | %5.2f", o.Floor, o.FloorAllocs, o.FloorBytes, o.Ratio)
	if o.Most != 0 && o.Ratio > o.Most {
		text += fmt.Sprintf("  above %.2f", o.Most)
	}
	return text
}

// results is what bench/testdata/results.json holds.
type results struct {
	Day     string               `json:"day"`
	Commit  string               `json:"commit"`
	Machine string               `json:"machine"`
	Rows    map[string][]outcome `json:"rows"` // by suite, and "PQ3A/PQ3"
}

func (r *results) add(table string, rows []outcome) {
	if r.Rows == nil {
		r.Rows = map[string][]outcome{}
	}
	r.Rows[table] = rows
}

const kept = "testdata/results.json"

// documents are where the figures stand, and which form of them.
var documents = map[string]func(results) string{
	"../README.md":         results.short,
	"../docs/assurance.md": results.long,
}

func (r *results) write(t *testing.T) {
	r.Day, r.Commit, r.Machine = time.Now().UTC().Format(time.DateOnly), commit(t), machine()
	text, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(kept), 0o755)
	}
	if err == nil {
		err = os.WriteFile(kept, append(text, '\n'), 0o644)
	}
	for path, form := range documents {
		if err == nil {
			err = os.WriteFile(path, []byte(inserted(t, path, form(*r))), 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T) string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// machine is the processor, its number, and the toolchain.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, after, _ := strings.Cut(string(text), "model name")
		name, _, _ := strings.Cut(strings.TrimLeft(after, "\t: "), "\n")
		model = name
	}
	return fmt.Sprintf("%d cores of %s, %s %s/%s", runtime.NumCPU(), model, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

const (
	begin = "<!-- figures: go test ./bench -run Ratios -ratios -write -->\n"
	end   = "<!-- end of figures -->\n"
)

// inserted is a document with its block of figures replaced.
func inserted(t *testing.T, path, block string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the figures", path)
	}
	return before + begin + block + end + after
}

// inReadme are the rows that the README shows.
var inReadme = []string{
	"stream, 100 B: seal", "stream, 100 B: open", "stream, 4096 B: seal", "stream, 4096 B: open",
	"ping-pong, 100 B: seal", "ping-pong, 100 B: open", "rekey, 100 B: seal", "rekey, 100 B: open",
	"start: verify bundle, initiate, seal", "start: accept",
}

func (r results) short() string {
	var b strings.Builder
	b.WriteString("| operation | `PQ3`: µs, ratio | `PQ3A`: µs, ratio |\n|---|---|---|\n")
	for _, name := range inReadme {
		x, y := r.find("PQ3", name), r.find("PQ3A", name)
		fmt.Fprintf(&b, "| %s | %.0f, %.2f | %.0f, %.2f |\n", name, x.Ours, x.Ratio, y.Ours, y.Ratio)
	}
	return b.String()
}

func (r results) find(table, name string) outcome {
	for _, o := range r.Rows[table] {
		if o.Name == name {
			return o
		}
	}
	panic("bench: no row " + name)
}

func (r results) long() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, commit %s, %s. Left: ours; right: the floor, and in the last table suite `PQ3`. µs of CPU, allocations, bytes.\n", r.Day, r.Commit, r.Machine)
	for _, table := range []string{"PQ3", "PQ3A", "PQ3A/PQ3"} {
		fmt.Fprintf(&b, "\n| %s | µs | allocs | bytes | µs | allocs | bytes | ratio | at most |\n|---|---|---|---|---|---|---|---|---|\n", table)
		for _, o := range r.Rows[table] {
			fmt.Fprintf(&b, "| %s | %.1f | %d | %d |%s\n", o.Name, o.Ours, o.OursAllocs, o.OursBytes, o.rightHalf())
		}
	}
	return b.String()
}

func (o outcome) rightHalf() string {
	if o.Ratio == 0 {
		return " | | | | |"
	}
	most := ""
	if o.Most != 0 {
		most = fmt.Sprintf("%.2f", o.Most)
	}
	return fmt.Sprintf(" %.1f | %d | %d | %.2f | %s |", o.Floor, o.FloorAllocs, o.FloorBytes, o.Ratio, most)
}

// TestDocumentsQuoteTheFigures: README and the assurance report show what was
// measured, and nothing else.
func TestDocumentsQuoteTheFigures(t *testing.T) {
	text, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	var r results
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	for path, form := range documents {
		now, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if inserted(t, path, form(r)) != string(now) {
			t.Errorf("%s shows other figures than %s; run: make bench", path, kept)
		}
	}
}
