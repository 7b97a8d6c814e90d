package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"rsc.io/qr"
)

// The drawing holds the modules of the code, whatever the terminal makes of it.
func TestQRHoldsEveryModule(t *testing.T) {
	text := "POSTHORN:" + strings.Repeat("0123456789", 6)
	drawing, err := drawQR(text)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(drawing, "\n"), "\n")
	for row, line := range lines {
		if utf8.RuneCountInString(line) != code.Size+2*quiet {
			t.Fatalf("line %d is %d wide", row, utf8.RuneCountInString(line))
		}
		for x, r := range []rune(line) {
			upper, lower := r == ' ' || r == '▄', r == ' ' || r == '▀'
			if upper != code.Black(x-quiet, 2*row-quiet) || lower != code.Black(x-quiet, 2*row+1-quiet) {
				t.Fatalf("module at %d, %d", x, row)
			}
		}
	}
	if 2*len(lines) < code.Size+2*quiet {
		t.Errorf("%d lines for %d modules", len(lines), code.Size)
	}
}
