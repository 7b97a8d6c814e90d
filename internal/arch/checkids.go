package arch

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A check id names one rule that makes an implementation refuse input. It
// stands in three places, and they must agree: the register of SPEC §15, the
// check in shipped code, and the name of a test that breaks the rule.
var (
	wholeID    = regexp.MustCompile(`^V-\d{2,3}$`)
	leadingID  = regexp.MustCompile(`^V-\d{2,3}\b`)
	registerID = regexp.MustCompile(`(?m)^\| (V-\d{2,3}) \|`)
	funcNameID = regexp.MustCompile(`V(\d{2,3})`)
)

// brokenCheckIDs compares the three sets.
func brokenCheckIDs(r *repository) (broken []string) {
	register := inRegister(r.texts["SPEC.md"])
	places := []struct {
		name string
		ids  map[string]int
	}{
		{"the register of SPEC §15", register},
		{"shipped code", inCode(r)},
		{"test names", inTests(r)},
	}
	for id, n := range register {
		if n > 1 {
			broken = append(broken, id+": stands twice in the register of SPEC §15")
		}
	}
	for _, a := range places {
		for id := range a.ids {
			for _, b := range places {
				if b.ids[id] == 0 {
					broken = append(broken, id+": is in "+a.name+", not in "+b.name)
				}
			}
		}
	}
	slices.Sort(broken)
	return slices.Compact(broken)
}

func inRegister(spec string) map[string]int {
	ids := map[string]int{}
	_, register, _ := strings.Cut(spec, "\n## 15")
	register, _, _ = strings.Cut(register, "\n## 16")
	for _, row := range registerID.FindAllStringSubmatch(register, -1) {
		ids[row[1]]++
	}
	return ids
}

// inCode finds ids that are whole string literals of shipped code.
func inCode(r *repository) map[string]int {
	ids := map[string]int{}
	for _, f := range r.code.shipped() {
		if f.pkg() == "internal/arch" {
			continue
		}
		for _, text := range literals(f) {
			if wholeID.MatchString(text) {
				ids[text]++
			}
		}
	}
	return ids
}

// inTests finds ids in the names of test functions and at the front of string
// literals of test files, which is how tables name their subtests.
func inTests(r *repository) map[string]int {
	ids := map[string]int{}
	for _, f := range r.code {
		if !f.isTest() || f.pkg() == "internal/arch" {
			continue
		}
		for _, fn := range f.functions() {
			for _, m := range funcNameID.FindAllStringSubmatch(fn.Name.Name, -1) {
				if strings.HasPrefix(fn.Name.Name, "Test") {
					ids["V-"+m[1]]++
				}
			}
		}
		for _, text := range literals(f) {
			if id := leadingID.FindString(text); id != "" {
				ids[id]++
			}
		}
	}
	return ids
}

func literals(f *file) (texts []string) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		if text, err := strconv.Unquote(lit.Value); err == nil {
			texts = append(texts, text)
		}
		return true
	})
	return texts
}
