package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var (
	// ourCommand is a command line of ours, in a block or between backticks.
	ourCommand = regexp.MustCompile("(?m)(?:^|`)posthornd ([a-z][^`\n]*)")
	ourOption  = regexp.MustCompile("`--([a-z-]+)`")
	ourVar     = regexp.MustCompile("`(POSTHORN_[A-Z_]+)`")
)

// Every command, option and variable that the guide names exists, and its table
// of limits is the one of the program.
func TestOperatorGuide(t *testing.T) {
	guide := inRepository(t, "docs/operator.md")
	commands := ourCommand.FindAllStringSubmatch(guide, -1)
	for _, m := range commands {
		checkCommand(t, "docs/operator.md", strings.Fields(m[1]))
	}
	options, vars := map[string]bool{}, map[string]bool{}
	everyCommand(newRoot(&app{}), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { options[f.Name], vars[variableOf(f)] = true, true })
	})
	options["help"] = true
	for _, m := range ourOption.FindAllStringSubmatch(guide, -1) {
		if !options[m[1]] {
			t.Errorf("it names --%s, which no command has", m[1])
		}
	}
	for _, m := range ourVar.FindAllStringSubmatch(guide, -1) {
		if !vars[m[1]] {
			t.Errorf("it names %s, which nothing reads", m[1])
		}
	}
	if len(commands) < 5 {
		t.Errorf("only %d commands found", len(commands))
	}
	if table := limitsTable(); !strings.Contains(guide, table) {
		t.Errorf("its table of limits should be\n%s", table)
	}
}

func everyCommand(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, c := range cmd.Commands() {
		everyCommand(c, do)
	}
}

// limitsTable is the table of limits as the program has them.
func limitsTable() string {
	var o limitOptions
	flags := pflag.NewFlagSet("limits", pflag.ContinueOnError)
	flags.SortFlags = false
	o.flags(flags)
	var b strings.Builder
	b.WriteString("| option | default | bounds |\n|---|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) { fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", f.Name, f.DefValue, f.Usage) })
	return b.String()
}
