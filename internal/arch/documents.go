package arch

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// documents that must exist, with the most lines each may have (0: no limit).
var documents = map[string]int{
	"README.md":             150,
	"SPEC.md":               0,
	"ARCHITECTURE.md":       250,
	"THREAT_MODEL.md":       0,
	"SECURITY.md":           0,
	"CONTRIBUTING.md":       0,
	"LICENSE":               0,
	"docs/past-failures.md": 0,
}

func brokenDocuments(r *repository) (broken []string) {
	for name, most := range documents {
		if !r.paths[name] {
			broken = append(broken, name+": missing")
		}
		if n := strings.Count(r.texts[name], "\n"); most > 0 && n > most {
			broken = append(broken, fmt.Sprintf("%s: %d lines, at most %d", name, n, most))
		}
	}
	return broken
}

var adrName = regexp.MustCompile(`^docs/adr/(\d{4})-[a-z0-9-]+\.md$`)

// adrParts are the headings of a decision record, in order.
var adrParts = []string{"## Status", "## Context", "## Decision", "## Consequences", "## Alternatives"}

// maxADRLines keeps a decision record to about a page.
const maxADRLines = 60

// brokenADRs reports decision records that are misnamed, misnumbered, too long
// or incomplete.
func brokenADRs(r *repository) (broken []string) {
	var numbers []string
	for p := range r.paths {
		if path.Dir(p) != "docs/adr" {
			continue
		}
		m := adrName.FindStringSubmatch(p)
		if m == nil {
			broken = append(broken, p+": a record is named NNNN-title.md")
			continue
		}
		numbers = append(numbers, m[1])
		broken = append(broken, brokenADR(p, m[1], r.texts[p])...)
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if want := fmt.Sprintf("%04d", i+1); n != want {
			return append(broken, "docs/adr: found "+n+" where "+want+" is due: numbers are unique and without a gap")
		}
	}
	return broken
}

func brokenADR(p, number, text string) (broken []string) {
	if !strings.HasPrefix(text, "# "+number+". ") {
		broken = append(broken, p+": the title begins with \"# "+number+". \"")
	}
	if strings.Count(text, "\n") > maxADRLines {
		broken = append(broken, fmt.Sprintf("%s: longer than %d lines", p, maxADRLines))
	}
	rest := text
	for _, part := range adrParts {
		_, after, found := strings.Cut(rest, "\n"+part+"\n")
		if !found {
			broken = append(broken, p+": no "+part+" after the part before it")
			continue
		}
		rest = after
	}
	return broken
}

var (
	changelogName  = regexp.MustCompile(`^changelog/[a-z0-9.-]+/\d{3}-[a-z0-9-]+\.md$`)
	changelogTitle = regexp.MustCompile(`^(Added|Changed|Fixed|Removed|Security): \S`)
)

// brokenChangelog reports entries that a release script could not sort.
func brokenChangelog(r *repository) (broken []string) {
	found := false
	for p := range r.paths {
		if !strings.HasPrefix(p, "changelog/") || p == "changelog/README.md" {
			continue
		}
		found = true
		if !changelogName.MatchString(p) {
			broken = append(broken, p+": an entry is named changelog/RELEASE/NNN-title.md")
		}
		if !changelogTitle.MatchString(r.texts[p]) {
			broken = append(broken, p+": begins with Added, Changed, Fixed, Removed or Security, a colon and what it is")
		}
	}
	if !found {
		broken = append(broken, "changelog/: no entries")
	}
	return broken
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	quotedPath   = regexp.MustCompile("`([a-zA-Z0-9_.-]+(?:/[a-zA-Z0-9_.-]+)+\\.(?:go|md|txtar|json|proto|txt))`")
	quotedTest   = regexp.MustCompile("`((?:Test|Fuzz|Example|Benchmark)[A-Za-z0-9_]+)`")
)

// brokenReferences reports links, paths and test names in documents that lead
// nowhere.
func brokenReferences(r *repository) (broken []string) {
	tests := testNames(r)
	for p, text := range r.texts {
		if path.Ext(p) != ".md" || strings.Contains("/"+p, "/testdata/") {
			continue
		}
		for _, m := range markdownLink.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], ":") && !r.exists(path.Join(path.Dir(p), m[1])) {
				broken = append(broken, p+": links to "+m[1]+", which does not exist")
			}
		}
		for _, m := range quotedPath.FindAllStringSubmatch(text, -1) {
			if !r.exists(m[1]) && !r.exists(path.Join(path.Dir(p), m[1])) {
				broken = append(broken, p+": names "+m[1]+", which does not exist")
			}
		}
		for _, m := range quotedTest.FindAllStringSubmatch(text, -1) {
			if !tests[m[1]] {
				broken = append(broken, p+": names "+m[1]+", which is no test")
			}
		}
	}
	return broken
}

// exists accepts files and folders.
func (r *repository) exists(p string) bool {
	if r.paths[p] {
		return true
	}
	for other := range r.paths {
		if strings.HasPrefix(other, strings.TrimSuffix(p, "/")+"/") {
			return true
		}
	}
	return false
}

func testNames(r *repository) map[string]bool {
	names := map[string]bool{}
	for _, f := range r.code {
		if !f.isTest() {
			continue
		}
		for _, fn := range f.functions() {
			names[fn.Name.Name] = true
		}
	}
	return names
}

var (
	sectionHeading = regexp.MustCompile(`(?m)^#{2,3} (\d+(?:\.\d+)?)\.? `)
	sectionInCode  = regexp.MustCompile(`SPEC §(\d+(?:\.\d+)?)`)
	sectionInSpec  = regexp.MustCompile(`§(\d+(?:\.\d+)?)`)
)

// brokenSections reports section numbers, in code and in SPEC itself, that SPEC
// has no heading for.
func brokenSections(r *repository) (broken []string) {
	spec := r.texts["SPEC.md"]
	known := map[string]bool{}
	for _, m := range sectionHeading.FindAllStringSubmatch(spec, -1) {
		known[m[1]] = true
	}
	report := func(place string, found [][]string) {
		for _, m := range found {
			if !known[m[1]] {
				broken = append(broken, place+": there is no SPEC §"+m[1])
			}
		}
	}
	report("SPEC.md", sectionInSpec.FindAllStringSubmatch(spec, -1))
	for place, text := range r.texts {
		if path.Ext(place) == ".md" && place != "SPEC.md" || path.Ext(place) == ".proto" {
			report(place, sectionInCode.FindAllStringSubmatch(text, -1))
		}
	}
	for _, f := range r.code {
		if f.pkg() != "internal/arch" {
			report(f.path, sectionInCode.FindAllStringSubmatch(f.src, -1))
		}
	}
	slices.Sort(broken)
	return slices.Compact(broken)
}
