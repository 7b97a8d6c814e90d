package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// storedPage is the page for users and operators about what is kept of them.
const storedPage = "../docs/what-the-server-stores.md"

// inMemory are fields of stored records that are not written.
var inMemory = map[string]string{
	"notice.kind": "travels between nodes, and is kept nowhere", "notice.lost": "the same", "notice.box": "the same",
	"notice.at": "the same", "notice.msg": "the same",
	"head.durable": "how far the disk is", "head.flights": "batches on their way to it",
	"head.shares": "counted from what waits, when it is read", "head.tail": "the same",
	"head.changed": "what the next batch does", "head.due": "the same", "head.before": "the same",
}

var (
	// recordKey is a literal with which keys of the directory begin.
	recordKey = regexp.MustCompile(`"([a-z]+/)(?:[a-z]+)?"`)
	// engineKey is a kind of key of the embedded store.
	engineKey = regexp.MustCompile(`(?m)^\tkey\w+\s+= '(\w)'`)
	// sqlTable and sqlColumn are what a schema defines.
	importBlock = regexp.MustCompile(`(?s)\nimport \(.*?\n\)`)
	sqlTable    = regexp.MustCompile(`(?s)CREATE TABLE (?:IF NOT EXISTS )?posthorn\.(\w+) \((.*?)\n\)`)
	sqlColumn   = regexp.MustCompile(`(?m)^\s+([a-z_]+)\s+(?:bytea|bigint|boolean|text|timestamptz|integer|bytes)\b`)
	// documented is the first cell of a row of the page.
	documented = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
)

// TestWhatTheServerStores compares the page with the sources, so that nothing
// is kept that it does not tell: keys of the directory, fields of every record
// with an encoding, kinds of keys of the embedded store, and columns of the
// database.
func TestWhatTheServerStores(t *testing.T) {
	var kept []string
	for file, text := range withLog(t) {
		if file == "checkrecord.go" {
			continue // it reads keys, and makes none
		}
		for _, m := range recordKey.FindAllStringSubmatch(importBlock.ReplaceAllString(text, ""), -1) {
			kept = append(kept, m[1])
		}
	}
	kept = append(kept, recordFields(t, ".")...)
	kept = append(kept, recordFields(t, "store/pebble")...)
	kept = append(kept, recordFields(t, logSources)...)
	for _, text := range sources(t, "store/pebble") {
		for _, m := range engineKey.FindAllStringSubmatch(text, -1) {
			kept = append(kept, "key "+m[1])
		}
	}
	kept = append(kept, columns(t)...)
	slices.Sort(kept)
	kept = slices.Compact(kept)
	page, err := os.ReadFile(storedPage)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range documented.FindAllStringSubmatch(string(page), -1) {
		told = append(told, m[1])
	}
	for _, what := range kept {
		if !slices.Contains(told, what) {
			t.Errorf("%s has no row for what is kept as `%s`: add one that says what it tells and how long it stays", storedPage, what)
		}
	}
	for _, what := range told {
		if !slices.Contains(kept, what) {
			t.Errorf("%s tells of `%s`, which nothing keeps", storedPage, what)
		}
	}
	if len(kept) < 40 {
		t.Errorf("only %d things found in the sources: %v", len(kept), kept)
	}
}

// logSources keep records in the store too.
const logSources = "../kt/log"

// withLog are the shipped files that keep records.
func withLog(t *testing.T) map[string]string {
	t.Helper()
	texts := sources(t, ".")
	for name, text := range sources(t, logSources) {
		texts["kt/log/"+name] = text
	}
	return texts
}

// sources are the shipped files of a folder.
func sources(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(f)] = string(b)
	}
	return texts
}

// recordFields are the fields of every type that has an encoding, as
// type.field. A list stands for its elements.
func recordFields(t *testing.T, folder string) (fields []string) {
	t.Helper()
	types, encoded := map[string]ast.Expr{}, map[string]bool{}
	for name, text := range sources(t, folder) {
		f, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "marshal" && d.Recv != nil {
					encoded[nameOf(d.Recv.List[0].Type)] = true
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if ts, ok := s.(*ast.TypeSpec); ok {
						types[ts.Name.Name] = ts.Type
					}
				}
			}
		}
	}
	for name := range encoded {
		if list, ok := types[name].(*ast.ArrayType); ok {
			name = nameOf(list.Elt)
		}
		record, ok := types[name].(*ast.StructType)
		if !ok {
			t.Errorf("%s has an encoding and is no struct", name)
			continue
		}
		for _, f := range record.Fields.List {
			for _, n := range f.Names {
				if field := name + "." + n.Name; inMemory[field] == "" {
					fields = append(fields, field)
				}
			}
		}
	}
	return fields
}

func nameOf(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// columns are the columns of every table in the schema of the database.
func columns(t *testing.T) (all []string) {
	t.Helper()
	texts := sources(t, "store/postgres")
	files, err := filepath.Glob("store/postgres/schema/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no schema", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[f] = string(b)
	}
	for _, text := range texts {
		for _, table := range sqlTable.FindAllStringSubmatch(text, -1) {
			for _, c := range sqlColumn.FindAllStringSubmatch(table[2], -1) {
				all = append(all, "posthorn."+table[1]+"."+c[1])
			}
		}
	}
	return all
}
