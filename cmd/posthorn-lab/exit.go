package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

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
	switch {
	case errors.Is(err, attacklab.ErrUnknown):
		return &failure{exitMissing, err.Error() + "; nothing was run", "'posthorn-lab list' has the names"}
	case errors.Is(err, scenario.ErrSyntax):
		return &failure{exitUser, err.Error() + "; nothing was run", "'posthorn-lab list NAME' prints a scenario to begin with"}
	}
	_, path := errors.AsType[*fs.PathError](err)
	_, link := errors.AsType[*os.LinkError](err)
	if path || link {
		return &failure{exitUser, err.Error(), "name files that can be read, and a folder that can be written"}
	}
	return &failure{exitInternal, err.Error(), "this should not happen; report it with the command line"}
}
