package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a command line that cannot be understood.
type usageError struct {
	what string // what is wrong
	hint string // what to write instead
}

func (e *usageError) Error() string { return e.what }

// usagef makes a usage error whose hint is the command's own help.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), seeHelp(cmd)}
}

func seeHelp(cmd *cobra.Command) string {
	return fmt.Sprintf("see '%s --help'", cmd.CommandPath())
}

// noSubcommand is the argument check of commands that only group others.
func noSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := seeHelp(cmd)
	if near := nearestCommand(cmd, args[0]); near != "" {
		hint = fmt.Sprintf("did you mean '%s %s'? %s", cmd.CommandPath(), near, hint)
	}
	return &usageError{fmt.Sprintf("unknown command %q", args[0]), hint}
}

// runGroup is what a grouping command does when no subcommand is given.
func runGroup(cmd *cobra.Command, _ []string) error {
	return usagef(cmd, "'%s' needs a subcommand", cmd.CommandPath())
}

// arguments checks how many arguments there are, in words of the command.
func arguments(least, most int, wanted string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usagef(cmd, "'%s' takes %s, and %d arguments were given", cmd.CommandPath(), wanted, len(args))
		}
		return nil
	}
}

// flagError turns the flag parser's complaint into a usage error, with the
// nearest flag when the given one does not exist.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	hint := seeHelp(cmd)
	var missing *pflag.NotExistError
	if errors.As(err, &missing) {
		if near := nearestFlag(cmd, missing.GetSpecifiedName()); near != "" {
			hint = fmt.Sprintf("did you mean --%s? %s", near, hint)
		}
	}
	return &usageError{err.Error(), hint}
}

func nearestFlag(cmd *cobra.Command, given string) string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return nearest(given, names)
}

func nearestCommand(cmd *cobra.Command, given string) string {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return nearest(given, names)
}

// nearest picks the name with the fewest edits from what was given: one it
// begins, or one at most two edits away. The empty string: nothing is near.
func nearest(given string, names []string) (best string) {
	fewest := 3
	for _, name := range names {
		edits := distance(given, name)
		if len(given) > 1 && strings.HasPrefix(name, given) {
			edits = 1
		}
		if edits < fewest && edits < len(given) {
			best, fewest = name, edits
		}
	}
	return best
}

// distance counts the inserted, deleted and replaced bytes between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
