package pq3_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/posthorn/posthorn/internal/machine"
)

// recompute is the Python script that knows nothing of this code.
var recompute = filepath.Join("testdata", "recompute.py")

// python finds the interpreter. Without it there is nothing to compare.
func python(t *testing.T) string {
	t.Helper()
	return machine.Tool(t, "python3", "python3")
}

func goldenFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "session-*.json"))
	if err != nil || len(files) != len(bothSuites) {
		t.Fatalf("%d golden sessions, %v", len(files), err)
	}
	return files
}

// TestPythonRecomputesSessions runs the script over the committed files.
func TestPythonRecomputesSessions(t *testing.T) {
	report, err := exec.Command(python(t), append([]string{recompute}, goldenFiles(t)...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, report)
	}
	t.Logf("%s", bytes.TrimSpace(report))
	if n := regexp.MustCompile(`^(\d+) values compared, 0 differ`).FindSubmatch(report); n == nil || len(n[1]) < 3 {
		t.Errorf("the script compared too little: %s", report)
	}
}

// runEach is Python that runs the script on each file of the arguments by
// itself, in one interpreter, and prints whether it was content.
const runEach = `
import runpy, sys
script, *files = sys.argv[1:]
for file in files:
    sys.argv = [script, file]
    try:
        runpy.run_path(script)
    except SystemExit as e:
        print("verdict:", "noticed" if e.code else "content", file)
    except Exception as e:
        print("verdict: noticed", file, e)
`

// TestPythonNoticesAChangedByte changes each input and each value of a golden
// session, one at a time, and wants the script to notice each; the last file is
// unchanged, and one run has nothing to compare.
func TestPythonNoticesAChangedByte(t *testing.T) {
	interpreter, changes, folder := python(t), goldenChanges(), t.TempDir()
	for _, file := range goldenFiles(t) {
		arguments := []string{"-c", runEach, recompute}
		for i, change := range changes {
			copied := filepath.Join(folder, strconv.Itoa(i))
			writeChanged(t, file, copied, change)
			arguments = append(arguments, copied)
		}
		report, err := exec.Command(interpreter, append(arguments, file)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, report)
		}
		verdicts := regexp.MustCompile(`(?m)^verdict: (noticed|content)`).FindAllStringSubmatch(string(report), -1)
		if len(verdicts) != len(changes)+1 || verdicts[len(changes)][1] != "content" {
			t.Fatalf("%d verdicts: %s", len(verdicts), report)
		}
		for i, change := range changes {
			if verdicts[i][1] != "noticed" {
				t.Errorf("%s with another %s passes", file, change.name)
			}
		}
	}
	if report, err := exec.Command(interpreter, recompute).CombinedOutput(); err == nil {
		t.Errorf("nothing to compare passes: %s", report)
	}
}

// goldenChange finds one value of a golden file.
type goldenChange struct {
	name string
	at   func(*golden) *hexBytes
	byte int
}

func goldenChanges() []goldenChange {
	const lastOfChain, answering = 2, 5 // steps
	step := func(i int, pick func(*goldenStep) *hexBytes) func(*golden) *hexBytes {
		return func(g *golden) *hexBytes { return pick(&g.Steps[i]) }
	}
	message := func(s *goldenStep) *hexBytes { return &s.Message }
	return []goldenChange{
		{"bundle", func(g *golden) *hexBytes { return &g.Bundle }, 40},
		{"account", func(g *golden) *hexBytes { return &g.Devices[0].Account }, 0},
		{"device id", func(g *golden) *hexBytes { return &g.Devices[1].ID }, 0},
		{"signing key", func(g *golden) *hexBytes { return &g.Devices[1].ECDSA }, 9},
		{"session id", func(g *golden) *hexBytes { return &g.Session }, 7},
		{"ECDH secret", func(g *golden) *hexBytes { return &g.Epochs[4].ECDHSecret }, 0},
		{"KEM secret", func(g *golden) *hexBytes { return &g.Epochs[2].KEMSecret }, 31},
		{"root key", step(3, func(s *goldenStep) *hexBytes { return &s.RootKey }), 0},
		{"chain key", step(4, func(s *goldenStep) *hexBytes { return &s.ChainKey }), 0},
		{"next chain key", step(4, func(s *goldenStep) *hexBytes { return &s.NextChainKey }), 0},
		{"message key", step(0, func(s *goldenStep) *hexBytes { return &s.MessageKey }), 0},
		{"proof", step(6, func(s *goldenStep) *hexBytes { return &s.Proof }), 0},
		{"AES key", step(7, func(s *goldenStep) *hexBytes { return &s.AESKey }), 0},
		{"counter block", step(8, func(s *goldenStep) *hexBytes { return &s.CounterBlock }), 15},
		{"session id in a message", step(lastOfChain, message), 2},
		{"digest in a message", step(lastOfChain, message), 56},
		{"ratchet key in a message", step(answering, message), 30},
		{"answer in a message", step(answering, message), 700},
		{"proof in a message", step(6, message), 54},
	}
}

// writeChanged copies a golden file with one bit of one value changed.
func writeChanged(t *testing.T, file, to string, change goldenChange) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	(*change.at(&g))[change.byte] ^= 1
	if text, err = json.Marshal(g); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
