package vectors

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listed reads SHA256SUMS: file name to sum.
func listed(t *testing.T) map[string]string {
	t.Helper()
	text, err := data.ReadFile("testdata/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		list[file] = sum
	}
	return list
}

// TestVectorsAreTheOriginals: every file unpacks to the listed contents, and
// there is no other file.
func TestVectorsAreTheOriginals(t *testing.T) {
	want := listed(t)
	err := fs.WalkDir(data, "testdata", func(path string, _ fs.DirEntry, err error) error {
		file, packed := strings.CutSuffix(strings.TrimPrefix(path, "testdata/"), ".gz")
		if err != nil || !packed {
			return err
		}
		content := Read(t, file)
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != want[file] {
			t.Errorf("%s: sum %x is not the listed one", file, sum)
		}
		delete(want, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for file := range want {
		t.Errorf("%s is listed and not there", file)
	}
}

// TestVectorsTable: every file has a row, every row adds up, and a test of its
// package counts it.
func TestVectorsTable(t *testing.T) {
	files := listed(t)
	sources := map[string]string{}
	packages := map[string][2]int{}
	for _, r := range Rows {
		if files[r.File] == "" {
			t.Errorf("%s has a row and is not there", r.File)
		}
		if n := sum(r.Runs) + sum(r.Skips); n != r.Holds {
			t.Errorf("%s in %s: %d run or left out, it holds %d", r.File, r.Package, n, r.Holds)
		}
		if sources[r.Package] == "" {
			sources[r.Package] = testSources(t, r.Package)
		}
		if !strings.Contains(sources[r.Package], "\nfunc "+r.Test+"(t *testing.T) {\n") {
			t.Errorf("%s has no test %s, which counts %s", r.Package, r.Test, r.File)
		}
		n := packages[r.Package]
		packages[r.Package] = [2]int{n[0] + sum(r.Runs), n[1] + sum(r.Skips)}
	}
	covered := map[string]bool{}
	for _, r := range Rows {
		covered[strings.Replace(r.File, "prompt", "expectedResults", 1)] = true
		covered[r.File] = true
	}
	for file := range files {
		if !covered[file] {
			t.Errorf("%s has no row", file)
		}
	}
	report(t, packages)
}

// testSources is the text of a package's test files.
func testSources(t *testing.T, pkg string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pkg), "*_test.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s has no tests: %v", pkg, err)
	}
	var all strings.Builder
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// report prints totals. A file that several packages run counts once in the
// last line, with the most tests that one of them runs.
func report(t *testing.T, packages map[string][2]int) {
	held, most := map[string]int{}, map[string]int{}
	for _, r := range Rows {
		held[r.File] = r.Holds
		most[r.File] = max(most[r.File], sum(r.Runs))
	}
	total := [2]int{}
	for pkg, n := range packages {
		t.Logf("%-16s %5d run, %4d left out", pkg, n[0], n[1])
		total[0] += n[0]
		total[1] += n[1]
	}
	t.Logf("%-16s %5d run, %4d left out", "all packages", total[0], total[1])
	t.Logf("%d files hold %d tests, of which at least %d are run", len(held), sum(held), sum(most))
}
