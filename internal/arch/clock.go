package arch

import (
	"go/ast"
	"slices"
	"strings"
)

// productTime are the packages whose time must be shiftable in test builds, so
// that a check over days needs no days.
var productTime = []string{"client/...", "server/...", "cmd/..."}

// realTime are the functions that read the machine's clock all the same,
// because they measure how long something took or set a deadline of the
// network, which must not jump. Each has its reason.
var realTime = map[string]string{
	"client/line.go Run":                           "how long a connection lasted decides the next pause",
	"client/transport/auth.go prove":               "the life of a token is elapsed time from here on",
	"client/transport/auth.go bearer":              "compared with the elapsed time of prove",
	"server/access.go wrap":                        "deadline of a connection",
	"server/access.go intercept":                   "how long a call took, for the metrics",
	"server/store/postgres/store.go keep":          "how long ago the process said that it lives",
	"server/store/postgres/mailbox.go learnLiving": "how long ago the living were asked for",
	"server/store/postgres/mailbox.go nodeOf":      "the same",
	"server/store/postgres/overview.go Stats":      "how long counting took decides how long its answer is kept",
	"server/calendar.go elapsed":                   "what a jump of the clock is measured against",
	"server/deliverer.go write":                    "deadline of a connection",
	"server/sendstream.go SendStream":              "deadline of a connection",
	"server/sendstream.go answer":                  "deadline of a connection",
	"server/sendstream.go take":                    "how long a request took, for the metrics",
	"server/sendstream.go settle":                  "how long a request took, and may take",
	"client/transport/sendline.go openLine":        "elapsed time since a stream failed",
	"cmd/posthorn/profile.go open":                 "patience with another process, a second",
	"cmd/posthorn/progress.go tell":                "how often a terminal is drawn",
	"cmd/posthorn-demo/script.go script":           "the stopwatch of the demo",
	"cmd/posthorn-demo/script.go summary":          "the same",
	"cmd/posthorn-lab/run.go write":                "how long sealing and opening took, for timings.json",
	"server/members.go newMembers":                 "when nodes were heard is elapsed time from here on",
	"server/members.go elapsed":                    "the same",
}

// clockReads are the calls that ask what time it is.
var clockReads = []string{"Now", "Since", "Until"}

// brokenClock reports places that ask package time for the time instead of
// internal/clock, and rows of realTime that stand for nothing any more.
func brokenClock(r *repository) (broken []string) {
	used := map[string]bool{}
	for _, f := range r.code.shipped().written() {
		if !slices.ContainsFunc(productTime, func(p string) bool { return within(f.pkg(), p) }) {
			continue
		}
		for _, spec := range f.ast.Imports {
			if spec.Path.Value == `"time"` && spec.Name != nil {
				broken = append(broken, f.at(spec.Pos())+": imports time as "+spec.Name.Name+", which hides its clock")
			}
		}
		for _, decl := range f.ast.Decls {
			place, reads := placeOf(f, decl), clockReadsIn(f, decl)
			if realTime[place] == "" {
				broken = append(broken, reads...)
			} else if len(reads) > 0 {
				used[place] = true
			}
		}
	}
	for place := range realTime {
		file, _, _ := strings.Cut(place, " ")
		if r.paths[file] && !used[place] {
			broken = append(broken, place+": is in realTime of internal/arch/clock.go and reads no clock")
		}
	}
	return broken
}

// placeOf names a declaration as realTime does.
func placeOf(f *file, decl ast.Decl) string {
	if fn, ok := decl.(*ast.FuncDecl); ok {
		return f.path + " " + fn.Name.Name
	}
	return f.path + " outside of functions"
}

func clockReadsIn(f *file, decl ast.Decl) (reads []string) {
	_, where, _ := strings.Cut(placeOf(f, decl), " ")
	ast.Inspect(decl, func(n ast.Node) bool {
		call, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(clockReads, call.Sel.Name) {
			reads = append(reads, f.at(n.Pos())+": time."+call.Sel.Name+" in "+where+": product time comes from internal/clock, which test builds shift")
		}
		return true
	})
	return reads
}
