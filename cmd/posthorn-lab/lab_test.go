package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/attacklab/report"
)

// lab runs one command line.
func lab(args ...string) (stdout, stderr string, code int) {
	var out, complaints bytes.Buffer
	code = run(&app{stdout: &out, stderr: &complaints}, args)
	return out.String(), complaints.String(), code
}

// TestRunThenVerify: a run is equal to itself, and a changed byte, a changed
// seed and a missing file are found.
func TestRunThenVerify(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "results")
	out, complaints, code := lab("run", "alternation", "--level", "2,3A", "--quick", "--out", folder)
	if again := "posthorn-lab run alternation --level 3A --quick"; !strings.Contains(out, again) {
		t.Errorf("no %q in %s", again, out)
	}
	if code != exitOK || !strings.Contains(out, "No quantum computer is used") || complaints != "" {
		t.Fatalf("%d %s %s", code, out, complaints)
	}
	if out, complaints, code := lab("verify", folder); code != exitOK || !strings.Contains(out, "equal to the byte") {
		t.Fatalf("verify: %d %s %s", code, out, complaints)
	}
	if _, _, code := lab("run", "alternation", "--level", "2", "--quick", "--out", folder); code != exitOK {
		t.Errorf("the same folder again: %d", code)
	}
	if out, _, code := lab("verify", folder); code != exitOK {
		t.Errorf("a smaller run in the same folder: %d %s", code, out)
	}
	change(t, filepath.Join(folder, report.RunFile), func(b []byte) []byte {
		return bytes.Replace(b, []byte("# The simplest"), []byte("# the simplest"), 1)
	})
	if out, _, code := lab("verify", folder); code != exitUser || !strings.Contains(out, "run.json: differs") {
		t.Errorf("a byte of a comment: %d %s", code, out)
	}
	if _, _, code := lab("run", "alternation", "--level", "2", "--quick", "--out", folder); code != exitOK {
		t.Fatal(code)
	}
	added := filepath.Join(folder, "added.svg")
	if err := os.WriteFile(added, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _, code := lab("verify", folder); code != exitUser || !strings.Contains(out, "added.svg: no file") {
		t.Errorf("a file too many: %d %s", code, out)
	}
	if err := os.Remove(added); err != nil {
		t.Fatal(err)
	}
	change(t, filepath.Join(folder, report.CSVFile), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	out, _, code = lab("verify", folder)
	if code != exitUser || !strings.Contains(out, "results.csv: differs") || strings.Contains(out, "report.html") {
		t.Errorf("a changed byte: %d %s", code, out)
	}
	change(t, filepath.Join(folder, report.RunFile), func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"seed": 0`), []byte(`"seed": 5`), 1)
	})
	if out, _, code := lab("verify", folder); code != exitUser || !strings.Contains(out, "run.json: differs") {
		t.Errorf("another seed: %d %s", code, out)
	}
	if err := os.Remove(filepath.Join(folder, report.ReportFile)); err != nil {
		t.Fatal(err)
	}
	if out, _, code := lab("verify", folder); code != exitUser || !strings.Contains(out, "report.html: missing") {
		t.Errorf("a missing file: %d %s", code, out)
	}
}

func change(t *testing.T, file string, how func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, how(b), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestJSON: list, run and explain print one object of the lab's schema, and a
// scenario of one's own runs.
func TestJSON(t *testing.T) {
	text, _, code := lab("list", "alternation")
	if code != exitOK {
		t.Fatal(code)
	}
	mine := filepath.Join(t.TempDir(), "mine.txt")
	text = strings.Replace(strings.Replace(text, "scenario   alternation", "scenario   mine", 1), "messages   400", "messages   40", 1)
	if err := os.WriteFile(mine, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list", "--json"}, {"explain", "--json"}, {"run", mine, "--level", "1", "--quick", "--json"}} {
		out, complaints, code := lab(args...)
		var object struct {
			Schema   string
			Readings []struct{ Scenario, Level, Attacker string }
			Levels   []struct{ Key, Command string }
		}
		if err := json.Unmarshal([]byte(out), &object); err != nil || code != exitOK || object.Schema != "posthorn.lab/1" {
			t.Fatalf("%v: %d %v %s", args, code, err, complaints)
		}
		if args[0] == "run" && (len(object.Readings) == 0 || object.Readings[0].Scenario != "mine") {
			t.Errorf("%v read nothing", args)
		}
		if args[0] != "run" && len(object.Levels) != 6 {
			t.Errorf("%v has %d levels", args, len(object.Levels))
		}
	}
}

func TestExitCodes(t *testing.T) {
	used := t.TempDir()
	if err := os.WriteFile(filepath.Join(used, "letter.txt"), []byte("scenario x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		word string
	}{
		{[]string{"run", "nowhere"}, exitMissing, "posthorn-lab list"},
		{[]string{"run", "--level", "9"}, exitMissing, "level \"9\""},
		{[]string{"list", "nowhere"}, exitMissing, "nowhere"},
		{[]string{"runn"}, exitUsage, "did you mean"},
		{[]string{"run", "--what"}, exitUsage, "--help"},
		{[]string{"verify"}, exitUsage, "one folder"},
		{[]string{"verify", used}, exitUser, "no results"},
		{[]string{"run", "--out", used}, exitUser, "holds something else"},
		{[]string{"run", filepath.Join(used, "letter.txt")}, exitUser, "scenario says its"},
		{[]string{"run", "--out", filepath.Join(used, "letter.txt", "results")}, exitUser, "can be written"},
		{[]string{"run", "absent.txt"}, exitUser, "absent.txt"},
	} {
		out, complaints, code := lab(c.args...)
		if code != c.code || !strings.Contains(complaints, c.word) || out != "" {
			t.Errorf("%v: %d %q %q", c.args, code, out, complaints)
		}
	}
}
