package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// app is what every command shares.
type app struct {
	stdout, stderr io.Writer
}

// run executes one command line and returns the exit code of the process.
func run(ctx context.Context, a *app, args []string) int {
	root := newRoot(a)
	root.SetArgs(args)
	return a.report(root.ExecuteContext(ctx))
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "posthorn-lab",
		Short: "Attack encrypted conversations at every security level, and see what can be read",
		Long: `posthorn-lab plays conversations at Levels 0 to 3 and lets real attack code at
them: attackers who recorded everything, who seized a device, who later have a
quantum computer. The lab hands the attacker the classical private keys. No
quantum computer is used. Equal seeds give equal results, byte for byte.`,
		Example: `  posthorn-lab explain
  posthorn-lab run --out lab-results
  posthorn-lab run alternation --level 2,3A --json
  posthorn-lab verify lab-results`,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, wrongFlag(err)) })
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(newRun(a), newVerify(a), newList(a), newExplain(a))
	return root
}

// wrongFlag is what is wrong with an option, without the names of functions.
func wrongFlag(err error) string {
	text, function, found := strings.Cut(err.Error(), ": strconv.")
	if found && strings.HasPrefix(function, "ParseUint") {
		text += ": not a whole number from 0 on"
	}
	return text
}

// noArguments refuses arguments, and names the nearest command to a wrong one.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		failed := usage(cmd, "unknown command \""+args[0]+"\"")
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			failed.hint = "did you mean '" + cmd.CommandPath() + " " + near[0] + "'? " + failed.hint
		}
		return failed
	}
	return usage(cmd, "'"+cmd.CommandPath()+"' takes no arguments")
}
