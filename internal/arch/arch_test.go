package arch

import (
	"slices"
	"sync"
	"testing"
)

// rule is one check of the repository. It returns the places that break it.
type rule struct {
	name   string
	broken func(*repository) []string
}

var rules = []rule{
	{"layers", brokenLayers},
	{"reach", brokenReach},
	{"package names", brokenNames},
	{"purity", brokenPurity},
	{"everywhere", brokenEverywhere},
	{"logs", brokenLogs},
	{"clock", brokenClock},
	{"sizes", brokenSizes},
	{"package docs", brokenPackageDocs},
	{"docs", brokenDocs},
	{"formal ids", brokenFormal},
	{"promises", brokenPromises},
	{"check ids", brokenCheckIDs},
	{"documents", brokenDocuments},
	{"decision records", brokenADRs},
	{"changelog", brokenChangelog},
	{"references", brokenReferences},
	{"sections", brokenSections},
	{"commands", brokenCommands},
	{"requirements", brokenRequirements},
	{"suppliers", brokenSuppliers},
	{"decoders", brokenDecoders},
}

// thisRepository is read once; no rule changes it.
var thisRepository = sync.OnceValues(func() (*repository, error) { return readRepository("../..") })

func TestRules(t *testing.T) {
	r, err := thisRepository()
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			broken := rule.broken(r)
			slices.Sort(broken)
			for _, b := range broken {
				t.Error(b)
			}
		})
	}
}

// TestSizes reports the middle sizes, which SPEC sets no limit for but the
// style of this repository does.
func TestSizes(t *testing.T) {
	r, err := thisRepository()
	if err != nil {
		t.Fatal(err)
	}
	files, funcs := sizes(r)
	t.Logf("lines in a file: half %d, nine tenths %d, most %d", files.p50, files.p90, files.max)
	t.Logf("lines in a function: half %d, nine tenths %d, most %d", funcs.p50, funcs.p90, funcs.max)
	if funcs.p50 > 12 || funcs.p90 > 45 {
		t.Errorf("functions have %d lines in the middle and %d at nine tenths; at most 12 and 45", funcs.p50, funcs.p90)
	}
}

// TestDecoders counts what the rule on decoders finds, so that it cannot pass
// because it has stopped to see them.
func TestDecoders(t *testing.T) {
	r, err := thisRepository()
	if err != nil {
		t.Fatal(err)
	}
	decoders, targets := 0, 0
	for _, f := range r.code.written() {
		for _, fn := range f.functions() {
			if f.isTest() && isTarget(fn) {
				targets++
			}
			if !f.isTest() && !testOnly(f.pkg()) && isDecoder(f.pkg(), fn) {
				decoders++
				t.Log(f.pkg(), fn.Name.Name)
			}
		}
	}
	if t.Logf("%d decoders, %d fuzz targets", decoders, targets); decoders < 25 || targets < 25 {
		t.Errorf("only %d decoders and %d targets", decoders, targets)
	}
}
