package arch

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// pure packages take bytes, time and randomness as arguments, so that every
// run can be repeated and no call blocks.
var pure = []string{
	"account", "pq3", "content", "attachment", "kt", "verification", "pairing",
	"suite", "suite/level0", "suite/level1", "suite/level2", "suite/level3", "suite/level3sparse",
}

// chosenRandomness is the one shipped package that may choose the randomness of
// ML-KEM: the entropy of simulations, which neither client nor server reaches.
const chosenRandomness = "suite/seeded"

// ban is an import that the pure packages do without. A name ending in "/..."
// covers everything below it.
type ban struct {
	path   string
	why    string
	except string // one file that is the seam
}

var bans = []ban{
	{"net/...", "a protocol core opens no connection", ""},
	{"os/...", "no files, no environment: state is an argument", ""},
	{"log/...", "what is not logged cannot leak", ""},
	{"database/sql/...", "storage belongs to the caller", ""},
	{"math/rand/...", "not a source of keys", ""},
	{"crypto/rand", "randomness has one door", "pq3/entropy.go"},
	{"crypto/mlkem/mlkemtest", "chosen encapsulation randomness is for vectors", ""},
	{"unsafe", "memory tricks do not belong near keys", ""},
	{"sync/...", "values are immutable, so nothing needs a lock", ""},
	{"context", "nothing here waits, so nothing can be cancelled", ""},
}

// clockCalls read or wait for the machine's clock.
var clockCalls = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}

// fixedValues are package variables that no code changes, each with its reason.
var fixedValues = map[string]string{
	"account.order":     "the order of P-256, as bytes",
	"account.halfOrder": "half of it, as bytes",
	"pq3.noKEM":         "48 zero bytes, the salt of an epoch without a KEM secret",
}

func isPure(pkg string) bool { return slices.Contains(pure, pkg) }

// brokenPurity reports what a pure package imports, calls, starts or keeps.
func brokenPurity(r *repository) (broken []string) {
	for _, f := range r.code.shipped() {
		if !isPure(f.pkg()) {
			continue
		}
		broken = append(broken, bannedImports(f)...)
		broken = append(broken, bannedStatements(f)...)
		broken = append(broken, packageVariables(f)...)
	}
	return broken
}

func bannedImports(f *file) (broken []string) {
	for imported, pos := range f.imports() {
		for _, b := range bans {
			if within(imported, b.path) && f.path != b.except {
				broken = append(broken, f.at(pos)+": may not import "+imported+": "+b.why)
			}
		}
	}
	return broken
}

func bannedStatements(f *file) (broken []string) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			broken = append(broken, f.at(n.Pos())+": a pure package starts no goroutine")
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				broken = append(broken, f.at(n.Pos())+": a pure package has no init")
			}
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(clockCalls, n.Sel.Name) {
				broken = append(broken, f.at(n.Pos())+": time comes in as an argument, not from time."+n.Sel.Name)
			}
		}
		return true
	})
	return broken
}

// packageVariables reports variables other than sentinels and interface checks.
func packageVariables(f *file) (broken []string) {
	for _, decl := range f.ast.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, spec := range gen.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if !fixedName(f.pkg(), name.Name) {
					broken = append(broken, f.at(name.Pos())+": package variable "+name.Name+": state is an argument")
				}
			}
		}
	}
	return broken
}

func fixedName(pkg, name string) bool {
	_, listed := fixedValues[pkg+"."+name]
	return listed || name == "_" || strings.HasPrefix(name, "Err") || strings.HasPrefix(name, "err")
}

// brokenEverywhere reports what no package of the module may do: call C, or
// take something made for tests into shipped code.
func brokenEverywhere(r *repository) (broken []string) {
	for _, f := range r.code {
		if pos, found := f.imports()["C"]; found {
			broken = append(broken, f.at(pos)+": no cgo: the binaries are pure Go")
		}
	}
	for _, f := range r.code.shipped() {
		for imported, pos := range f.imports() {
			folder, own := ours(imported)
			chosen := imported == "crypto/mlkem/mlkemtest" && f.pkg() != chosenRandomness
			if own && testOnly(folder) || imported == "testing" || chosen {
				broken = append(broken, f.at(pos)+": "+imported+" is for tests")
			}
		}
	}
	return broken
}

// brokenLogs reports loggers below the layer of input and output. The secret
// types may name slog, because hiding from it is their work.
func brokenLogs(r *repository) (broken []string) {
	speakers := []string{"client/...", "server/...", "kt/log", "cmd/...", "internal/secret"}
	for _, f := range r.code.shipped() {
		pos, logs := f.imports()["log/slog"]
		speaks := slices.ContainsFunc(speakers, func(p string) bool { return within(f.pkg(), p) })
		if logs && !speaks {
			broken = append(broken, f.at(pos)+": only the outer layers log")
		}
		if pos, plain := f.imports()["log"]; plain {
			broken = append(broken, f.at(pos)+": logs are structured, with log/slog")
		}
	}
	return broken
}
