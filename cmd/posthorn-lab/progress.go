package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// progress draws a bar on a terminal, and nothing anywhere else.
func (a *app) progress(what string) func(done, total int) {
	file, ok := a.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return func(done, total int) {
		const width = 30
		full := width * done / total
		fmt.Fprintf(file, "\r%s %s%s %d of %d", what, strings.Repeat("█", full), strings.Repeat("░", width-full), done, total)
		if done == total {
			fmt.Fprint(file, "\r\x1b[K")
		}
	}
}
