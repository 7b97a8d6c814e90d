package decodertest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes Seed write its files: go test ./account -run '^Fuzz' -seeds
var write = flag.Bool("seeds", false, "rewrite the seeds of the fuzz targets")

// Seed keeps one seed of a target in the repository, under the name of what it
// is. It fails when the file is not what the arguments say, so that seeds follow
// the formats. The testing package reads the files by itself.
func Seed(f *testing.F, name string, args ...any) {
	f.Helper()
	path := filepath.Join("testdata", "fuzz", f.Name(), name)
	want := corpusFile(f, args)
	if *write {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		f.Fatalf("the seed %s is missing or stale; make seeds writes it", path)
	}
}

// corpusFile is the form in which the testing package keeps inputs.
func corpusFile(t testing.TB, args []any) string {
	t.Helper()
	b := strings.Builder{}
	b.WriteString("go test fuzz v1\n")
	for _, arg := range args {
		switch arg := arg.(type) {
		case []byte:
			fmt.Fprintf(&b, "[]byte(%q)\n", arg)
		case string:
			fmt.Fprintf(&b, "string(%q)\n", arg)
		case bool, uint8, uint16, uint32, uint64:
			fmt.Fprintf(&b, "%T(%v)\n", arg, arg)
		default:
			t.Fatalf("a seed cannot hold %T", arg)
		}
	}
	return b.String()
}
