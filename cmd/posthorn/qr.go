package main

import (
	"os"
	"strings"

	"golang.org/x/term"
	"rsc.io/qr"
)

// quiet is the empty border that readers of QR codes ask for, in modules.
const quiet = 4

// printQR shows a text as a QR code if standard output is a terminal, two
// modules above each other in one character. Elsewhere it prints nothing.
func (a *app) printQR(text string) error {
	out, ok := a.stdout.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	drawing, err := drawQR(text)
	if err != nil {
		return err
	}
	_, err = out.WriteString(drawing)
	return err
}

// drawQR draws light modules as full blocks, so that the code reads on a dark
// terminal; scanners take it inverted too.
func drawQR(text string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", err
	}
	blocks := map[[2]bool]string{{true, true}: " ", {true, false}: "▄", {false, true}: "▀", {false, false}: "█"}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		for x := -quiet; x < code.Size+quiet; x++ {
			b.WriteString(blocks[[2]bool{code.Black(x, y), code.Black(x, y+1)}])
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}
