package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/posthorn/posthorn/attacklab"
)

// outcome is what a run of the lab returned.
type outcome struct {
	results *attacklab.Results
	err     error
}

// play runs the lab with a bar on the terminal. An interrupt ends it at once:
// what is being computed goes down with the process, and nothing was written.
func (a *app) play(ctx context.Context, o attacklab.Options, what string) (*attacklab.Results, error) {
	done := make(chan outcome, 1)
	go func() {
		r, err := attacklab.Run(o, a.progress(ctx, what))
		done <- outcome{r, err}
	}()
	select {
	case got := <-done:
		if ctx.Err() == nil {
			return got.results, got.err
		}
	case <-ctx.Done():
	}
	if file, ok := a.terminal(); ok {
		fmt.Fprint(file, clearLine)
	}
	return nil, &failure{exitUser, "interrupted, nothing was written", ""}
}

const clearLine = "\r\x1b[K"

// progress draws a bar on a terminal, and nothing anywhere else.
func (a *app) progress(ctx context.Context, what string) func(done, total int) {
	file, ok := a.terminal()
	if !ok {
		return nil
	}
	return func(done, total int) {
		const width = 30
		full := width * done / total
		if ctx.Err() != nil {
			return
		}
		fmt.Fprintf(file, "\r%s %s%s %d of %d", what, strings.Repeat("█", full), strings.Repeat("░", width-full), done, total)
		if done == total {
			fmt.Fprint(file, clearLine)
		}
	}
}

// terminal is standard error, if people look at it.
func (a *app) terminal() (*os.File, bool) {
	file, ok := a.stderr.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}
