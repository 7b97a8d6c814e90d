package arch

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A decoder is a function whose name says that it reads an encoding and that
// takes one: bytes, or for the words that are used for texts a string too. Each
// has a native fuzz target in its own package, so that none is ever added
// without one. "Open" and "read" with a string mean a place, not a text.
var (
	decoderOfBytes = regexp.MustCompile(`^(?i:parse|decode|unmarshal|restore|replay|unpack|unpad|lift)[A-Z0-9]?|^(?i:open|read)([A-Z]|$)`)
	decoderOfText  = regexp.MustCompile(`^(?i:parse|decode|unmarshal|unpack)`)
)

// notDecoders have such a name and take bytes for another reason.
var notDecoders = map[string]string{
	"pq3.Read":                  "fills bytes: it is the entropy seam, not a reader of an encoding",
	"suite/seeded.Read":         "the same",
	"attacklab/simulation.Read": "the same",
}

// words are the identifiers in a text.
var words = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// brokenDecoders reports decoders without a fuzz target, and targets without
// seeds. An exported decoder is named in the body or the comment of a target of
// its package; an internal one may also be reached through one that is.
func brokenDecoders(r *repository) (broken []string) {
	for pkg, files := range packages(r.code) {
		named, reached := fuzzed(files)
		for _, f := range files.shipped().written() {
			for _, fn := range f.functions() {
				name := fn.Name.Name
				if !isDecoder(pkg, fn) || named[name] {
					continue
				}
				if ast.IsExported(name) || !reached[name] {
					broken = append(broken, f.at(fn.Pos())+": decoder "+name+" has no fuzz target in its package")
				}
			}
		}
		broken = append(broken, withoutSeeds(r, pkg, files)...)
	}
	return broken
}

func packages(t tree) map[string]tree {
	all := map[string]tree{}
	for _, f := range t {
		all[f.pkg()] = append(all[f.pkg()], f)
	}
	return all
}

func isDecoder(pkg string, fn *ast.FuncDecl) bool {
	name := fn.Name.Name
	if notDecoders[pkg+"."+name] != "" {
		return false
	}
	return decoderOfBytes.MatchString(name) && takes(fn, "[]byte", "[][]byte") ||
		decoderOfText.MatchString(name) && takes(fn, "string")
}

// takes reports whether a parameter has one of the types.
func takes(fn *ast.FuncDecl, types ...string) bool {
	return slices.ContainsFunc(fn.Type.Params.List, func(p *ast.Field) bool { return slices.Contains(types, typeName(p.Type)) })
}

func typeName(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.ArrayType:
		if t.Len == nil {
			return "[]" + typeName(t.Elt)
		}
	}
	return ""
}

func isTarget(fn *ast.FuncDecl) bool {
	return fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz")
}

// fuzzed lists what the targets of a package name, and what their code reaches
// in it by name.
func fuzzed(files tree) (named, reached map[string]bool) {
	named, reached = map[string]bool{}, map[string]bool{}
	mentions := map[string][]string{}
	var queue []string
	for _, f := range files {
		for _, fn := range f.functions() {
			body := identifiers(fn)
			mentions[fn.Name.Name] = append(mentions[fn.Name.Name], body...)
			if f.isTest() && isTarget(fn) {
				body = append(body, words.FindAllString(fn.Doc.Text(), -1)...)
				for _, name := range body {
					named[name] = true
				}
				queue = append(queue, body...)
			}
		}
	}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if !reached[name] {
			reached[name] = true
			queue = append(queue, mentions[name]...)
		}
	}
	return named, reached
}

// identifiers are the names in a function's body.
func identifiers(fn *ast.FuncDecl) (names []string) {
	if fn.Body == nil {
		return nil
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			names = append(names, id.Name)
		}
		return true
	})
	return names
}

// withoutSeeds reports targets that start from nothing.
func withoutSeeds(r *repository, pkg string, files tree) (broken []string) {
	for _, f := range files {
		for _, fn := range f.functions() {
			if f.isTest() && isTarget(fn) && !r.exists(path.Join(pkg, "testdata/fuzz", fn.Name.Name)) {
				broken = append(broken, f.at(fn.Pos())+": no seeds in "+path.Join(pkg, "testdata/fuzz", fn.Name.Name))
			}
		}
	}
	return broken
}
