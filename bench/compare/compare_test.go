//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

// programs is where TestMain puts posthornd and load.
var programs string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "compare-programs-")
	if err == nil {
		defer os.RemoveAll(folder)
		err = build(context.Background(), folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building the programs:", err)
		return 1
	}
	programs = folder
	return m.Run()
}

// TestPosthornRound runs one small round of each kind against posthornd, and
// prints the table of it.
func TestPosthornRound(t *testing.T) {
	all := []*contestant{
		{name: "stored", synced: true, server: posthorn{programs: programs}},
		{name: "fan-out", synced: true, server: posthorn{programs: programs, envelopes: 3}},
		{name: "online", online: true, synced: true, server: posthorn{programs: programs}},
		{name: "calls", online: true, synced: true, server: posthorn{programs: programs, unary: true}},
		{name: "ahead", online: true, ahead: 4, synced: true, server: posthorn{programs: programs}},
	}
	k := task{connections: 4, calls: 5, body: 1024}
	for _, c := range all {
		if err := c.take(t.Context(), k); err != nil || len(c.rates) != 1 || c.rates[0] <= 0 {
			t.Fatalf("%s: %v, %v", c.name, c.rates, err)
		}
	}
	out := &strings.Builder{}
	all = append(all, &contestant{name: "another", rates: []float64{1}}, &contestant{name: "another, online", online: true, rates: []float64{2}})
	table(out, k, all)
	if got := out.String(); strings.Count(got, "×") != 3 || !strings.Contains(got, "4 connections, 1024 bytes") {
		t.Error(got)
	}
}

// TestCatchUpFigure takes one of posthornd's own figures.
func TestCatchUpFigure(t *testing.T) {
	out := &strings.Builder{}
	if err := own(t.Context(), out, programs, "catch-up"); err != nil || !strings.Contains(out.String(), " ms |") {
		t.Errorf("%v: %s", err, out)
	}
}
