package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// modulePath is how our own packages begin in an import.
const modulePath = "github.com/posthorn/posthorn/"

// repository is what the rules judge.
type repository struct {
	code  tree
	texts map[string]string // documents and scripts by path
	paths map[string]bool   // every file there is
}

// tree is every Go file of the module, in path order.
type tree []*file

// file is one parsed Go file.
type file struct {
	path string // from the module root, with slashes
	src  string
	set  *token.FileSet
	ast  *ast.File
}

// readRepository reads the module below root.
func readRepository(root string) (*repository, error) {
	contents := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(rel)
		}
		contents[filepath.ToSlash(rel)] = ""
		if !isRead(rel) {
			return nil
		}
		text, err := os.ReadFile(p)
		contents[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		return nil, err
	}
	return parseRepository(contents)
}

// skipFolder leaves out what is not source: version control, built tools, what
// npm fetched.
func skipFolder(rel string) error {
	if rel == ".git" || filepath.Base(rel) == "node_modules" || rel == "bin" || rel == filepath.Join("tools", "bin") {
		return filepath.SkipDir
	}
	return nil
}

func isRead(rel string) bool {
	kinds := []string{".go", ".md", ".mod", ".proto", ".yaml", ".txtar", ".txt", ".sh", ".pv"}
	return slices.Contains(kinds, filepath.Ext(rel)) || rel == "Makefile" || rel == filepath.Join(".ci", "run")
}

// parseRepository sorts files into code and texts; TestRulesBite makes its
// small repositories with it.
func parseRepository(contents map[string]string) (*repository, error) {
	r := &repository{texts: map[string]string{}, paths: map[string]bool{}}
	for p, text := range contents {
		r.paths[p] = true
		if !isCode(p) {
			r.texts[p] = text
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, p, text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		r.code = append(r.code, &file{path: p, src: text, set: set, ast: parsed})
	}
	slices.SortFunc(r.code, func(a, b *file) int { return strings.Compare(a.path, b.path) })
	return r, nil
}

// isCode reports whether a path is a Go file of a package of this module.
func isCode(p string) bool {
	return strings.HasSuffix(p, ".go") && !strings.HasPrefix(p, "tools/") && !strings.Contains("/"+p, "/testdata/")
}

// pkg is the folder of a file, which names its package in this module.
func (f *file) pkg() string { return path.Dir(f.path) }

func (f *file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f *file) isGenerated() bool { return ast.IsGenerated(f.ast) }

func (f *file) line(p token.Pos) int { return f.set.Position(p).Line }

// at names a place for a report.
func (f *file) at(p token.Pos) string { return f.path + ":" + strconv.Itoa(f.line(p)) }

// imports lists the import paths of a file with their positions.
func (f *file) imports() map[string]token.Pos {
	paths := map[string]token.Pos{}
	for _, spec := range f.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths[p] = spec.Pos()
		}
	}
	return paths
}

// functions lists the functions and methods of a file.
func (f *file) functions() (found []*ast.FuncDecl) {
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			found = append(found, fn)
		}
	}
	return found
}

// shipped leaves out tests, and packages that exist for tests.
func (t tree) shipped() tree {
	return t.keep(func(f *file) bool { return !f.isTest() && !testOnly(f.pkg()) })
}

// written leaves out generated files.
func (t tree) written() tree {
	return t.keep(func(f *file) bool { return !f.isGenerated() })
}

func (t tree) keep(want func(*file) bool) tree {
	return slices.DeleteFunc(slices.Clone(t), func(f *file) bool { return !want(f) })
}

// ours turns an import path into a folder of this module.
func ours(importPath string) (folder string, ok bool) {
	return strings.CutPrefix(importPath, modulePath)
}
