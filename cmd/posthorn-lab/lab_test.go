package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/attacklab/report"
)

// lab runs one command line.
func lab(args ...string) (stdout, stderr string, code int) {
	var out, complaints bytes.Buffer
	code = run(context.Background(), &app{stdout: &out, stderr: &complaints}, args)
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
	text, _, _ := lab("list", "alternation")
	mine := filepath.Join(t.TempDir(), "mine.txt")
	if err := os.WriteFile(mine, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		word string
	}{
		{[]string{"run", "nowhere"}, exitMissing, "posthorn-lab list"},
		{[]string{"run", "burst-10"}, exitMissing, "did you mean 'bursts-10' or 'bursts-50'?"},
		{[]string{"list", "mobile"}, exitMissing, "did you mean 'mobile-day'?"},
		{[]string{"run", "mine"}, exitMissing, "ends in .txt"},
		{[]string{"run", "--level", "3a"}, exitMissing, "did you mean '3A'?"},
		{[]string{"run", "--seed", "-1"}, exitUsage, "not a whole number"},
		{[]string{"run", "--json=maybe"}, exitUsage, "\"maybe\""},
		{[]string{"run", "alternation", mine}, exitUser, "two scenarios have one name: alternation"},
		{[]string{"run", mine, mine}, exitUser, "another name"},
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
		if code != c.code || !strings.Contains(complaints, c.word) || out != "" || strings.Contains(complaints, "attacklab") || strings.Contains(complaints, "strconv") {
			t.Errorf("%v: %d %q %q", c.args, code, out, complaints)
		}
	}
}

// TestSummary: run prints every attacker of the scenarios that were named, one's
// own too, and says why nothing is there where nothing is.
func TestSummary(t *testing.T) {
	text, _, _ := lab("list", "active")
	mine := filepath.Join(t.TempDir(), "mine.txt")
	text = strings.Replace(text, "scenario   active", "scenario   mine", 1) + "attack     recording + quantum\n"
	if err := os.WriteFile(mine, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		lines []string
	}{
		{[]string{"run", mine, "--level", "1,2"}, []string{"attacker +1 +2", "recording \\+ quantum +100\u00a0% +0\u00a0%", ".*neither was chosen\\.", "2 attackers on 2 conversations\\. With --out .*"}},
		{[]string{"run", "active", "--level", "3,3A"}, []string{"3 +edit +yes .*", "3A +edit +no .*", "10 attackers on 2 conversations.*"}},
		{[]string{"run", "bursts-10", "lopsided", "--level", "0", "--quick"}, []string{"Bursts of ten .*", "Fifty to one .*"}},
	} {
		out, complaints, code := lab(c.args...)
		if code != exitOK || complaints != "" || !strings.Contains(out, "No quantum computer is used") {
			t.Errorf("%v: %d %s", c.args, code, complaints)
		}
		for _, line := range c.lines {
			if !regexp.MustCompile("(?m)^" + line + "$").MatchString(out) {
				t.Errorf("%v: no line %q in\n%s", c.args, line, out)
			}
		}
	}
}

// TestInterrupt: an interrupted run and an interrupted verification say so, and
// leave no folder that they made and nothing in one that was there.
func TestInterrupt(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	parent := t.TempDir()
	there := filepath.Join(parent, "there")
	if _, complaints, code := lab("run", "alternation", "--level", "0", "--quick", "--out", there); code != exitOK {
		t.Fatal(code, complaints)
	}
	before, err := os.ReadDir(there)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"run", "alternation", "--level", "0", "--quick", "--out", filepath.Join(parent, "new")},
		{"run", "alternation", "--level", "1", "--quick", "--out", there}, {"verify", there},
	} {
		var out, complaints bytes.Buffer
		code := run(ctx, &app{stdout: &out, stderr: &complaints}, args)
		if code != exitUser || out.Len() > 0 || !strings.Contains(complaints.String(), "interrupted") {
			t.Errorf("%v: %d %s %s", args, code, &out, &complaints)
		}
	}
	after, err := os.ReadDir(there)
	if err != nil || len(after) != len(before) {
		t.Errorf("%d files, were %d, %v", len(after), len(before), err)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
		t.Errorf("%v %v is left", entries, err)
	}
}
