package arch

import (
	"slices"
	"strings"
	"testing"
)

// mistake is a small repository that breaks one rule in one way.
type mistake struct {
	rule  string
	name  string
	files map[string]string
	want  string // in one of the reports
}

// in makes a repository of one file.
func in(path, text string) map[string]string { return map[string]string{path: text} }

var codeMistakes = []mistake{
	{"layers", "sibling", in("content/x.go", "package content\nimport _ \"github.com/posthorn/posthorn/pq3\"\n"), "may not import pq3"},
	{"layers", "upwards", in("account/x.go", "package account\nimport _ \"github.com/posthorn/posthorn/api\"\n"), "may not import api"},
	{"layers", "unknown package", in("extra/x.go", "package extra\n"), "has no row"},
	{"reach", "by a detour", map[string]string{
		"server/x.go": "package server\nimport _ \"github.com/posthorn/posthorn/api\"\n",
		"api/x.go":    "package api\nimport _ \"github.com/posthorn/posthorn/content\"\n",
	}, "server reaches content"},
	{"reach", "a binary", map[string]string{
		"cmd/posthornd/x.go": "package main\nimport _ \"github.com/posthorn/posthorn/server\"\n",
		"server/x.go":        "package server\nimport _ \"github.com/posthorn/posthorn/pq3\"\n",
	}, "cmd/posthornd reaches pq3"},
	{"package names", "empty name", in("internal/util/x.go", "package util\n"), "not util"},
	{"purity", "network", in("pq3/x.go", "package pq3\nimport _ \"net/http\"\n"), "net/http"},
	{"purity", "files", in("account/x.go", "package account\nimport _ \"os\"\n"), "import os"},
	{"purity", "logging", in("content/x.go", "package content\nimport _ \"log/slog\"\n"), "log/slog"},
	{"purity", "randomness", in("pq3/x.go", "package pq3\nimport _ \"crypto/rand\"\n"), "crypto/rand"},
	{"purity", "clock", in("pq3/x.go", "package pq3\nimport \"time\"\nvar errX = time.Now()\n"), "time.Now"},
	{"purity", "elapsed time", in("pq3/x.go", "package pq3\nimport \"time\"\nfunc f() { _ = time.Since(time.Time{}) }\n"), "time.Since"},
	{"purity", "goroutine", in("pq3/x.go", "package pq3\nfunc f() { go f() }\n"), "goroutine"},
	{"purity", "init", in("pq3/x.go", "package pq3\nfunc init() {}\n"), "init"},
	{"purity", "variable", in("pq3/x.go", "package pq3\nvar count int\n"), "count"},
	{"everywhere", "cgo", in("cmd/posthorn/x.go", "package main\nimport \"C\"\n"), "cgo"},
	{"everywhere", "test package shipped", in("client/x.go", "package client\nimport _ \"github.com/posthorn/posthorn/pq3/pq3test\"\n"), "for tests"},
	{"everywhere", "chosen randomness", in("client/x.go", "package client\nimport _ \"crypto/mlkem/mlkemtest\"\n"), "for tests"},
	{"reach", "a client with the lab's entropy", map[string]string{
		"client/x.go": "package client\nimport _ \"github.com/posthorn/posthorn/suite/seeded\"\n",
	}, "client reaches suite/seeded"},
	{"reach", "a binary with a level", map[string]string{
		"cmd/posthorn/x.go": "package main\nimport _ \"github.com/posthorn/posthorn/suite/level1\"\n",
	}, "cmd/posthorn reaches suite/level1"},
	{"layers", "an attacker that looks into the simulation", map[string]string{
		"attacklab/attack/x.go": "package attack\nimport _ \"github.com/posthorn/posthorn/attacklab/simulation\"\n",
	}, "would prove nothing"},
	{"reach", "an attacker with the lab's entropy", map[string]string{
		"attacklab/attack/x.go": "package attack\nimport _ \"github.com/posthorn/posthorn/suite/seeded\"\n",
	}, "attacklab/attack reaches suite/seeded"},
	{"everywhere", "chosen randomness beside seeded", in("suite/level1/x.go", "package level1\nimport _ \"crypto/mlkem/mlkemtest\"\n"), "for tests"},
	{"logs", "below the outer layers", in("api/x.go", "package api\nimport _ \"log/slog\"\n"), "outer layers"},
	{"logs", "unstructured", in("server/x.go", "package server\nimport _ \"log\"\n"), "structured"},
	{"clock", "now", in("client/x.go", "package client\nimport \"time\"\nfunc f() { _ = time.Now() }\n"), "client/x.go:3: time.Now in f"},
	{"clock", "since, in a method", in("server/x.go", "package server\nimport \"time\"\nfunc (s *T) f() { _ = time.Since(s.t) }\n"), "time.Since in f"},
	{"clock", "as a value", in("client/transport/x.go", "package transport\nimport \"time\"\nvar now = time.Now\n"), "in outside of functions"},
	{"clock", "under another name", in("server/x.go", "package server\nimport t \"time\"\n"), "imports time as t"},
	{"clock", "a row without a place", in("client/line.go", "package client\nfunc Run() {}\n"), "client/line.go Run: is in realTime"},
	{"sizes", "long file", in("pq3/x.go", "package pq3\n"+strings.Repeat("\n", 500)), "501 lines"},
	{"sizes", "long function", in("pq3/x.go", "package pq3\nfunc f() {\n"+strings.Repeat("\n", 79)+"}\n"), "f has 81 lines"},
	{"package docs", "none", in("pq3/x.go", "package pq3\n"), "pq3: no package comment"},
	{"package docs", "wrong name", in("pq3/x.go", "// Package other does.\npackage pq3\n"), "pq3: no package comment"},
	{"docs", "function", in("pq3/x.go", "package pq3\nfunc Open() {}\n"), "Open"},
	{"docs", "method", in("pq3/x.go", "package pq3\n// T is.\ntype T int\nfunc (t *T) Do() {}\n"), "Do"},
	{"docs", "type in a group", in("pq3/x.go", "package pq3\n// Types.\ntype (\n\tA int\n)\n"), "A has"},
	{"docs", "constant", in("pq3/x.go", "package pq3\nconst Size = 1\n"), "Size"},
	{"formal ids", "derivation without one", in("pq3/x.go", "package pq3\nfunc f() { hkdf.Extract() }\n"), "f calls hkdf.Extract"},
	{"formal ids", "signature without one", in("account/x.go", "package account\nfunc f() { k.SignHybrid() }\n"), "f calls SignHybrid"},
	{"formal ids", "in the code only", in("pq3/x.go", "package pq3\n\n// f derives.\n//\n// formal: kdf-new\nfunc f() {}\n"), "kdf-new: is in the code"},
	{"formal ids", "in a model only", in("formal/x.pv", "fun f(key): key. (* formal: kdf-old *)\n"), "kdf-old: is in a model, not in the code"},
	{"formal ids", "reason outlived", in("pq3/x.go", "package pq3\n\n// f derives.\n//\n// formal: kdf-new\nfunc f() {}\n"), "sig-hold: is in internal/arch/formal.go, not in the code"},
	{"decoders", "no target", in("pq3/x.go", "package pq3\nfunc ParseX(b []byte) {}\n"), "decoder ParseX has no fuzz target"},
	{"decoders", "of texts", in("api/x.go", "package api\nfunc ParseX(s string) {}\n"), "decoder ParseX has no fuzz target"},
	{"decoders", "target elsewhere", map[string]string{
		"pq3/x.go": "package pq3\nfunc ParseX(b []byte) {}\n", "account/x_test.go": "package account\nfunc FuzzParseX(f *F) { ParseX(nil) }\n",
	}, "decoder ParseX has no fuzz target"},
	{"decoders", "only reached", map[string]string{
		"pq3/x.go": "package pq3\nfunc ParseX(b []byte) {}\nfunc other() { ParseX(nil) }\n", "pq3/x_test.go": "package pq3\nfunc FuzzOther(f *F) { other() }\n",
	}, "decoder ParseX has no fuzz target"},
	{"decoders", "internal", in("server/x.go", "package server\nfunc readX(b []byte) {}\n"), "decoder readX has no fuzz target"},
	{"decoders", "method", in("server/x.go", "package server\nfunc (x *X) open(column string, b []byte) {}\n"), "decoder open has no fuzz target"},
	{"decoders", "no seeds", in("pq3/x_test.go", "package pq3\nfunc FuzzX(f *F) {}\n"), "no seeds in pq3/testdata/fuzz/FuzzX"},
	{"promises", "in code", in("pq3/x.go", "package pq3 // TO"+"DO\n"), "TO" + "DO"},
	{"promises", "in a document", in("README.md", "FIX"+"ME\n"), "FIX" + "ME"},
}

const register = "\n## 15. Checks\n| V-01 | rule | ErrX |\n## 16"

var documentMistakes = []mistake{
	{"check ids", "unregistered", in("pq3/x.go", "package pq3\nconst id = \"V-07\"\n"), "V-07: is in shipped code, not in the register"},
	{"check ids", "unchecked", in("SPEC.md", register), "V-01: is in the register of SPEC §15, not in shipped code"},
	{"check ids", "untested", map[string]string{"SPEC.md": register, "pq3/x.go": "package pq3\nconst id = \"V-01\"\n"}, "V-01: is in shipped code, not in test names"},
	{"check ids", "tested only", in("pq3/x_test.go", "package pq3\nfunc TestV09Length() {}\n"), "V-09: is in test names, not in shipped code"},
	{"check ids", "subtest only", in("pq3/x_test.go", "package pq3\nvar name = \"V-09 length\"\n"), "V-09: is in test names, not in shipped code"},
	{"check ids", "twice", in("SPEC.md", "\n## 15\n| V-01 | a | b |\n| V-01 | a | b |\n"), "V-01: stands twice"},
	{"documents", "missing", nil, "SPEC.md: missing"},
	{"documents", "too long", in("README.md", strings.Repeat("x\n", 151)), "README.md: 151 lines"},
	{"decision records", "gap", in("docs/adr/0002-b.md", "# 0002. B\n"), "0001 is due"},
	{"decision records", "same number", map[string]string{"docs/adr/0001-a.md": "", "docs/adr/0001-b.md": ""}, "0002 is due"},
	{"decision records", "no status", in("docs/adr/0001-a.md", "# 0001. A\n\n## Context\n"), "no ## Status"},
	{"decision records", "name", in("docs/adr/one.md", ""), "NNNN-title.md"},
	{"decision records", "long", in("docs/adr/0001-a.md", strings.Repeat("x\n", 61)), "longer than"},
	{"changelog", "none", nil, "no entries"},
	{"changelog", "name", in("changelog/unreleased/x.md", "Added: x\n"), "an entry is named"},
	{"changelog", "kind", in("changelog/unreleased/001-x.md", "New: x\n"), "begins with"},
	{"references", "link", in("README.md", "[a](SPEC.md)\n"), "links to SPEC.md"},
	{"references", "path", in("docs/x.md", "`pq3/session.go`\n"), "names pq3/session.go"},
	{"references", "test", in("THREAT_MODEL.md", "`TestNothing`\n"), "TestNothing"},
	{"sections", "in code", in("pq3/x.go", "package pq3 // SPEC §6.1\n"), "no SPEC §6.1"},
	{"sections", "in SPEC", in("SPEC.md", "## 1. A\nsee §1.2\n"), "no SPEC §1.2"},
	{"commands", "other first commands", in("README.md", "```sh\nmake\n```\n"), "its first commands"},
	{"commands", "target", in("README.md", "```sh\nmake fly\n```\n"), "no target fly"},
	{"commands", "program", in("README.md", "```sh\ngo run ./cmd/nothing\n```\n"), "no package ./cmd/nothing"},
	{"commands", "subcommand", in("README.md", "```sh\nposthorn --home /tmp/a fly\n```\n"), "posthorn has no command fly"},
	{"requirements", "no reason", map[string]string{"go.mod": "require example.org/a v1.0.0\n", "pq3/x.go": "package pq3\nimport _ \"example.org/a/b\"\n"}, "no reason"},
	{"requirements", "marked indirect", map[string]string{"go.mod": "require example.org/a v1.0.0 // indirect\n", "pq3/x.go": "package pq3\nimport _ \"example.org/a\"\n"}, "not indirect"},
	{"requirements", "unused", in("go.mod", "require example.org/a v1.0.0 // because of this\n"), "imported by nothing"},
	{"suppliers", "unknown module", in("pq3/x.go", "package pq3\nimport _ \"example.org/a\"\n"), "has no row"},
	{"suppliers", "wrong place", in("pq3/x.go", "package pq3\nimport _ \"golang.org/x/crypto/argon2\"\n"), "Argon2id"},
}

// TestRulesBite plants each mistake and wants its rule to report it, so that no
// rule passes because it looks at nothing.
func TestRulesBite(t *testing.T) {
	planted := map[string]bool{}
	for _, m := range slices.Concat(codeMistakes, documentMistakes) {
		planted[m.rule] = true
		t.Run(m.rule+"/"+m.name, func(t *testing.T) {
			r, err := parseRepository(m.files)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(rules, func(r rule) bool { return r.name == m.rule })
			reports := strings.Join(rules[i].broken(r), "\n")
			if !strings.Contains(reports, m.want) {
				t.Errorf("want a report with %q, got:\n%s", m.want, reports)
			}
		})
	}
	for _, r := range rules {
		if !planted[r.name] {
			t.Errorf("no planted mistake for the rule %q", r.name)
		}
	}
}
