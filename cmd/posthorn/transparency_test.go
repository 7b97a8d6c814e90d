package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
)

// goldenEvidence is the file of evidence among the vectors.
func goldenEvidence(t *testing.T) string {
	raw, err := os.ReadFile("../../kt/testdata/transparency.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct{ Evidence string }
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors.Evidence
}

func TestVerifyNeedsNeitherProfileNorServer(t *testing.T) {
	text := goldenEvidence(t)
	path := filepath.Join(t.TempDir(), "evidence.txt")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	got := runLine(t, "", "transparency", "verify", path, "--json")
	var shown verifiedJSON
	if err := json.Unmarshal([]byte(got.stdout), &shown); err != nil || got.code != exitOK {
		t.Fatalf("exit %d, %q, %v", got.code, got.stderr, err)
	}
	if shown.Kind != "fork" || !shown.Conclusive || shown.Origin != "example.org/kt/roots" || len(shown.Keys) != 2 {
		t.Errorf("shown %+v", shown)
	}
	for _, spoiled := range []string{"", text[1:], strings.Replace(text, "\n5\n", "\n6\n", 1), "c2sp.org/tlog-proof@v1\n" + text} {
		write(spoiled)
		if got := runLine(t, "", "transparency", "verify", path); got.code != exitTrust || got.stdout != "" {
			t.Errorf("a changed file: exit %d, %q", got.code, got.stdout)
		}
	}
}

// TestRefusalsOfTheLogSayWhatToDo: what happened, what did not, and the next
// command.
func TestRefusalsOfTheLogSayWhatToDo(t *testing.T) {
	for _, failed := range []*client.LogError{
		{Err: reject.New("V-186", kt.ErrFork, "two"), Evidence: "/home/e.txt"},
		{Err: reject.New("V-184", kt.ErrStale, "old")},
	} {
		var stderr bytes.Buffer
		a := &app{stderr: &stderr}
		if code := a.report(t.Context(), failed); code != exitTrust {
			t.Errorf("exit %d", code)
		}
		for _, want := range []string{"nothing was sent", "posthorn: hint: ", failed.Evidence} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%q is not in %q", want, stderr.String())
			}
		}
	}
}
