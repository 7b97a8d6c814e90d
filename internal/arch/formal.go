package arch

import (
	"go/ast"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A formal id ties a derivation, a signature or an exchange in the code to its
// line in the models of formal/: "formal: kdf-root" stands in the comment of a
// function here and in a comment of a .pv file there.
var (
	formalInCode  = regexp.MustCompile(`(?m)^formal:((?: [a-z0-9-]+)+)$`)
	formalInModel = regexp.MustCompile(`\(\* formal: ([a-z0-9-]+) \*\)`)
)

// unmodelled are the ids that no model has, each with its reason.
var unmodelled = map[string]string{
	"hkdf":          "extract and expand are inside the ideal functions of the key schedule",
	"ecdsa":         "the primitive itself; the models have sign and check",
	"mldsa":         "the primitive itself; the models have pqsign and pqcheck",
	"hybrid":        "both primitives one after the other; the models check both",
	"sig-control":   "control messages travel outside sessions and derive nothing; what they trigger is a new start",
	"sig-statement": "rosters are taken as given: the models have one table of devices",
	"sig-hold":      "a hold only delays statements, which are not modelled",
}

// primitives are the calls that need an id on the function they stand in: the
// packages, and the functions and methods by name.
var primitives = struct{ packages, names []string }{
	packages: []string{"hkdf", "hmac"},
	names: []string{
		"macShort", "macLong", "extract", "expandLabel", "expandLong", "ECDH", "Encapsulate", "Decapsulate",
		"SignECDSA", "SignMLDSA", "SignHybrid", "VerifyECDSA", "VerifyMLDSA", "VerifyHybrid",
	},
}

// brokenFormal compares the ids of code, models and the table above, and wants
// an id wherever a primitive is called.
func brokenFormal(r *repository) (broken []string) {
	code, model := map[string]bool{}, formalModelIDs(r)
	for _, f := range r.code.shipped() {
		if f.pkg() != "account" && f.pkg() != "pq3" {
			continue
		}
		for _, fn := range f.functions() {
			ids := formalIDs(fn)
			for _, id := range ids {
				code[id] = true
			}
			if call := primitiveIn(fn); call != "" && len(ids) == 0 {
				broken = append(broken, f.at(fn.Pos())+": "+fn.Name.Name+" calls "+call+" and has no formal id in its comment")
			}
		}
	}
	report := func(ids []string, complaint string) {
		for _, id := range ids {
			broken = append(broken, "formal id "+id+complaint)
		}
	}
	reasons := map[string]bool{}
	for id := range unmodelled {
		reasons[id] = true
	}
	report(missing(code, model, reasons), ": is in the code, in no model and not in internal/arch/formal.go")
	report(missing(model, code), ": is in a model, not in the code")
	if len(code) > 0 {
		report(missing(reasons, code), ": is in internal/arch/formal.go, not in the code")
	}
	for id := range unmodelled {
		if model[id] {
			broken = append(broken, "formal id "+id+": has a reason for being in no model, and is in one")
		}
	}
	return broken
}

// missing lists what is in a set and in none of the others.
func missing(from map[string]bool, others ...map[string]bool) (ids []string) {
	for _, id := range slices.Sorted(maps.Keys(from)) {
		if !slices.ContainsFunc(others, func(m map[string]bool) bool { return m[id] }) {
			ids = append(ids, id)
		}
	}
	return ids
}

// formalIDs reads the comment of a function.
func formalIDs(fn *ast.FuncDecl) (ids []string) {
	for _, m := range formalInCode.FindAllStringSubmatch(fn.Doc.Text(), -1) {
		ids = append(ids, strings.Fields(m[1])...)
	}
	return ids
}

func formalModelIDs(r *repository) map[string]bool {
	ids := map[string]bool{}
	for p, text := range r.texts {
		if path.Ext(p) != ".pv" {
			continue
		}
		for _, m := range formalInModel.FindAllStringSubmatch(text, -1) {
			ids[m[1]] = true
		}
	}
	return ids
}

// primitiveIn names the first primitive that a function calls, or is empty.
func primitiveIn(fn *ast.FuncDecl) (found string) {
	ast.Inspect(fn, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || found != "" {
			return found == ""
		}
		switch f := call.Fun.(type) {
		case *ast.Ident:
			if slices.Contains(primitives.names, f.Name) {
				found = f.Name
			}
		case *ast.SelectorExpr:
			pkg, ok := f.X.(*ast.Ident)
			if ok && slices.Contains(primitives.packages, pkg.Name) {
				found = pkg.Name + "." + f.Sel.Name
			} else if slices.Contains(primitives.names, f.Sel.Name) {
				found = f.Sel.Name
			}
		}
		return found == ""
	})
	return found
}
