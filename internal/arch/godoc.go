package arch

import (
	"go/ast"
	"go/token"
	"strings"
)

// brokenPackageDocs reports packages that do not say what they are. Packages
// that are generated from the schema take their words from it.
func brokenPackageDocs(r *repository) (broken []string) {
	documented := map[string]bool{}
	for _, f := range r.code {
		documented[f.pkg()] = documented[f.pkg()] || f.isGenerated() || saysWhat(f)
	}
	for pkg, ok := range documented {
		if !ok {
			broken = append(broken, pkg+": no package comment; start one with \"Package\" or \"Command\" and the name")
		}
	}
	return broken
}

func saysWhat(f *file) bool {
	doc := f.ast.Doc.Text()
	name := strings.TrimSuffix(f.ast.Name.Name, "_test")
	return strings.HasPrefix(doc, "Package "+name+" ") || name == "main" && strings.HasPrefix(doc, "Command ")
}

// brokenDocs reports exported names of shipped packages without a comment.
func brokenDocs(r *repository) (broken []string) {
	for _, f := range r.code.written() {
		if f.isTest() || f.ast.Name.Name == "main" {
			continue
		}
		for _, decl := range f.ast.Decls {
			for _, name := range undocumented(decl) {
				broken = append(broken, f.at(name.Pos())+": exported "+name.Name+" has no comment")
			}
		}
	}
	return broken
}

func undocumented(decl ast.Decl) []*ast.Ident {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Doc == nil && decl.Name.IsExported() && receiverExported(decl) {
			return []*ast.Ident{decl.Name}
		}
	case *ast.GenDecl:
		return undocumentedSpecs(decl)
	}
	return nil
}

// receiverExported is false for methods that no importer can see in the docs.
func receiverExported(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	name, ok := t.(*ast.Ident)
	return ok && name.IsExported()
}

// undocumentedSpecs accepts one comment above a group of constants or
// variables, but wants each type to have its own.
func undocumentedSpecs(decl *ast.GenDecl) (missing []*ast.Ident) {
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && spec.Doc == nil && (decl.Doc == nil || decl.Lparen != token.NoPos) {
				missing = append(missing, spec.Name)
			}
		case *ast.ValueSpec:
			if decl.Doc != nil || spec.Doc != nil || spec.Comment != nil {
				continue
			}
			for _, name := range spec.Names {
				if name.IsExported() {
					missing = append(missing, name)
				}
			}
		}
	}
	return missing
}

// brokenPromises reports notes that something is left to do: those belong in an
// issue, where somebody sees them.
func brokenPromises(r *repository) (broken []string) {
	marks := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X:"}
	report := func(place, text string) {
		for _, mark := range marks {
			if strings.Contains(text, mark) {
				broken = append(broken, place+": contains "+mark)
			}
		}
	}
	for _, f := range r.code.written() {
		report(f.path, f.src)
	}
	for place, text := range r.texts {
		report(place, text)
	}
	return broken
}
