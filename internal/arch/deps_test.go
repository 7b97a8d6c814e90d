package arch

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden dependency lists")

// TestDependencyLists compares the modules from outside that end up in each
// binary with the list committed beside it, so that a new one shows in review.
func TestDependencyLists(t *testing.T) {
	programs, err := filepath.Glob("../../cmd/*")
	if err != nil || len(programs) == 0 {
		t.Fatalf("no programs found: %v", err)
	}
	for _, folder := range programs {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			golden := filepath.Join(folder, "deps.txt")
			got := strings.Join(modulesIn(t, folder), "\n") + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("modules of %s differ from deps.txt; after review: go test ./internal/arch -run DependencyLists -update\ngot:\n%swant:\n%s", folder, got, want)
			}
		})
	}
}

// modulesIn lists the modules of a program as built for Linux, so that the list
// is the same on every developer's machine.
func modulesIn(t *testing.T, folder string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", ".")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	return slices.Compact(modules)
}
