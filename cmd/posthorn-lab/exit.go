package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/scenario"
)

// The exit codes say who can mend a failure. Scripts may rely on them.
const (
	exitOK       = 0
	exitUser     = 1 // the user can mend it; for verify: something differs
	exitUsage    = 2 // the command line cannot be understood
	exitMissing  = 6 // no such scenario or level
	exitInternal = 70
)

// failure is an error that a command explains by itself.
type failure struct {
	code int
	text string // what happened, and what did not
	hint string // the next step
}

func (f *failure) Error() string { return f.text }

func usage(cmd *cobra.Command, text string) *failure {
	return &failure{exitUsage, text, "see '" + cmd.CommandPath() + " --help'"}
}

// report prints what went wrong and returns the exit code for it.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = explainFailure(err)
	}
	fmt.Fprintln(a.stderr, "posthorn-lab: error: "+f.text)
	if f.hint != "" {
		fmt.Fprintln(a.stderr, "posthorn-lab: hint: "+f.hint)
	}
	return f.code
}

func explainFailure(err error) *failure {
	if unknown, ok := errors.AsType[*attacklab.UnknownError](err); ok {
		return explainUnknown(unknown)
	}
	switch {
	case errors.Is(err, attacklab.ErrTwice):
		return &failure{exitUser, plain(err) + "; nothing was run", "give one of them another name, in the line that begins with 'scenario'"}
	case errors.Is(err, scenario.ErrSyntax):
		return &failure{exitUser, plain(err) + "; nothing was run", "'posthorn-lab list NAME' prints a scenario to begin with"}
	}
	path, ok := errors.AsType[*fs.PathError](err)
	_, link := errors.AsType[*os.LinkError](err)
	switch {
	case ok && path.Path == os.Stdout.Name():
		return &failure{exitUser, "the results could not be printed: " + err.Error(), "make room where they go, or send them elsewhere"}
	case ok || link:
		return &failure{exitUser, err.Error(), "name files that can be read, and a folder that can be written"}
	}
	return &failure{exitInternal, err.Error(), "this should not happen; report it with the command line"}
}

// plain is an error without the names of packages, which only we know.
func plain(err error) string {
	return strings.NewReplacer("attacklab: ", "", "scenario: not a scenario: ", "not a scenario: ").Replace(err.Error())
}

// explainUnknown says what there is instead.
func explainUnknown(e *attacklab.UnknownError) *failure {
	f := &failure{exitMissing, fmt.Sprintf("there is no %s %q; nothing was run", e.Kind, e.Name), "'posthorn-lab list' has the names"}
	if e.Kind == "scenario" {
		f.hint += "; the name of a file of your own ends in .txt"
	}
	if near := similar(e); len(near) > 0 {
		f.hint = "did you mean '" + strings.Join(near, "' or '") + "'? " + f.hint
	}
	return f
}

// similar are the names that a wrong one may stand for. Levels are so short that
// each is like all others: there, only upper and lower case may differ.
func similar(e *attacklab.UnknownError) (near []string) {
	if e.Kind == "level" {
		for _, l := range attacklab.Levels() {
			if strings.EqualFold(l.Key, e.Name) {
				near = append(near, l.Key)
			}
		}
		return near
	}
	all, err := scenario.Builtin()
	if err != nil || e.Name == "" {
		return nil
	}
	names := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, s := range all {
		names.AddCommand(&cobra.Command{Use: s.Name, Run: func(*cobra.Command, []string) {}})
	}
	return names.SuggestionsFor(e.Name)
}
