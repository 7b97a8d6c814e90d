package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// groups are the options of a command under headings, in the order of its help.
type groups struct {
	cmd  *cobra.Command
	list []group
}

type group struct {
	title string
	flags *pflag.FlagSet
}

// add defines options and puts them under a heading.
func (g *groups) add(title string, define func(*pflag.FlagSet)) {
	flags := pflag.NewFlagSet(title, pflag.ContinueOnError)
	flags.SortFlags = false
	define(flags)
	g.cmd.Flags().AddFlagSet(flags)
	g.list = append(g.list, group{title, flags})
}

// help prints the command with its options by heading. Those that no heading
// has come last.
func (g *groups) help(cmd *cobra.Command, _ []string) {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s\n\nUsage:\n  %s\n\nExamples:\n%s\n", cmd.Long, cmd.UseLine(), cmd.Example)
	rest := pflag.NewFlagSet("", pflag.ContinueOnError)
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		for _, group := range g.list {
			if group.flags.Lookup(f.Name) != nil {
				return
			}
		}
		rest.AddFlag(f)
	})
	for _, group := range append(g.list, group{"Other", rest}) {
		if group.flags.HasAvailableFlags() {
			fmt.Fprintf(out, "\n%s:\n%s", group.title, group.flags.FlagUsagesWrapped(100))
		}
	}
}
