package arch

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

const (
	maxFileLines = 500 // beyond this a file holds more than one concept
	maxFuncLines = 80  // beyond this a function is read twice
)

// brokenSizes reports files and functions that grew too long.
func brokenSizes(r *repository) (broken []string) {
	for _, f := range r.code.written() {
		if n := strings.Count(f.src, "\n"); n > maxFileLines {
			broken = append(broken, fmt.Sprintf("%s: %d lines, at most %d", f.path, n, maxFileLines))
		}
		for _, fn := range f.functions() {
			if n := f.length(fn); n > maxFuncLines {
				broken = append(broken, fmt.Sprintf("%s: %s has %d lines, at most %d", f.at(fn.Pos()), fn.Name.Name, n, maxFuncLines))
			}
		}
	}
	return broken
}

func (f *file) length(fn *ast.FuncDecl) int { return f.line(fn.End()) - f.line(fn.Pos()) + 1 }

// spread is a middle value, the value at nine tenths, and the largest.
type spread struct{ p50, p90, max int }

func spreadOf(values []int) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	at := func(share int) int { return values[(len(values)-1)*share/100] }
	return spread{at(50), at(90), at(100)}
}

// sizes measures the shipped code that people wrote.
func sizes(r *repository) (files, funcs spread) {
	var fileLines, funcLines []int
	for _, f := range r.code.shipped().written() {
		fileLines = append(fileLines, strings.Count(f.src, "\n"))
		for _, fn := range f.functions() {
			funcLines = append(funcLines, f.length(fn))
		}
	}
	return spreadOf(fileLines), spreadOf(funcLines)
}
