package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestAmounts(t *testing.T) {
	for bytes, want := range map[uint64]string{
		0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 100 << 20: "100.0 MiB", 1 << 30: "1.0 GiB", 5 << 40: "5.0 TiB", 5 << 50: "5120.0 TiB",
	} {
		if got := amount(bytes); got != want {
			t.Errorf("%d: %q, want %q", bytes, got, want)
		}
	}
}

func TestBarFitsTheTerminal(t *testing.T) {
	if got := barLine("uploading", "film.mp4", 1<<20, 4<<20, 79); got != "uploading film.mp4 [#####...............]  25%, 1.0 MiB of 4.0 MiB" {
		t.Errorf("%q", got)
	}
	for columns := range 120 {
		for _, name := range []string{"film.mp4", strings.Repeat("long ", 50), "a\x1b[2J\u202eb\nc"} {
			for _, done := range []uint64{0, 1, 1 << 29, 1 << 30} {
				got := barLine("fetching", name, done, 1<<30, columns)
				if len([]rune(got)) > columns || strings.ContainsAny(got, "\n\r\x1b\u202e") {
					t.Fatalf("%d columns: %q", columns, got)
				}
			}
		}
	}
}

// Whoever reads standard error in a pipe gets nothing of the bar.
func TestBarIsForTerminalsOnly(t *testing.T) {
	var out bytes.Buffer
	a := &app{stderr: &out}
	b := a.newBar("uploading")
	b.tell("film.mp4", 1, 2)
	b.tell("film.mp4", 2, 2)
	b.end()
	if out.Len() > 0 {
		t.Errorf("%q", &out)
	}
}
