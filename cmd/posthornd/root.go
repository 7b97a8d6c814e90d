package main

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// app is what every command shares.
type app struct {
	stdout io.Writer
	stderr io.Writer
}

// run executes one command line and returns the exit code of the process.
func run(ctx context.Context, a *app, args []string) int {
	root := newRoot(a)
	root.SetArgs(args)
	return a.report(root.ExecuteContext(ctx))
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "posthornd",
		Short: "The Posthorn server: directory and mailboxes for sealed messages",
		Long: `posthornd keeps the public keys of accounts and queues sealed messages for
devices that are away. It cannot read them. All its data is in one folder.`,
		Example:           "  posthornd serve --data /var/lib/posthorn --open-registration\n  posthornd health",
		Args:              noArguments,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: fromElsewhere,
		SilenceErrors:     true,
		SilenceUsage:      true,
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(cmd, err.Error())
	})
	root.AddCommand(newServe(a), newCheck(a), newHealth(a), newStatus(a), newMigrate(a), newLog(a), newWitness(a), newInvite(a), newUser(a), newBackup(a), newRestore(a), newVersion(a))
	return root
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

// fromElsewhere sets the options that the command line left open.
func fromElsewhere(cmd *cobra.Command, _ []string) error {
	if err := fromEnvironment(cmd); err != nil {
		return err
	}
	return fromFile(cmd)
}

// fromEnvironment sets every option that the command line left open from its
// variable: POSTHORN_LISTEN for --listen.
func fromEnvironment(cmd *cobra.Command) (failed error) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, ok := os.LookupEnv(variableOf(f))
		if !ok || value == "" || f.Changed || f.Name == "help" || failed != nil {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			failed = usage(cmd, variableOf(f)+" cannot be used: "+err.Error())
		}
	})
	return failed
}

func variableOf(f *pflag.Flag) string {
	return "POSTHORN_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}
