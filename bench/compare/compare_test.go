//go:build unix

package main

import (
	"strings"
	"testing"
)

// TestPosthornRound runs one small round of each kind against posthornd, and
// prints the table of it.
func TestPosthornRound(t *testing.T) {
	programs := t.TempDir()
	if err := build(t.Context(), programs); err != nil {
		t.Fatal(err)
	}
	all := []*contestant{
		{name: "stored", synced: true, server: posthorn{programs: programs}},
		{name: "fan-out", synced: true, server: posthorn{programs: programs, envelopes: 3}},
		{name: "online", online: true, synced: true, server: posthorn{programs: programs}},
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
	programs := t.TempDir()
	if err := build(t.Context(), programs); err != nil {
		t.Fatal(err)
	}
	out := &strings.Builder{}
	if err := own(t.Context(), out, programs, "catch-up"); err != nil || !strings.Contains(out.String(), " ms |") {
		t.Errorf("%v: %s", err, out)
	}
}
