package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"
)

// app is what every command shares: the three streams and the global flags.
type app struct {
	stdin  *os.File
	stdout io.Writer
	stderr io.Writer

	home    string
	verbose bool
}

// run executes one command line and returns the exit code of the process.
func run(ctx context.Context, a *app, args []string) (code int) {
	defer func() {
		if recovered := recover(); recovered != nil {
			code = a.crashed(recovered)
		}
	}()
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	return a.report(ctx, err)
}

// The groups of the command list.
const (
	groupTalk    = "talk"
	groupAccount = "account"
)

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "posthorn",
		Short: "End-to-end encrypted messages with ongoing post-quantum rekeying",
		Long: `posthorn sends and reads end-to-end encrypted messages. Every conversation is
at Level 3A: post-quantum keys from the first message, renewed as it goes on,
and post-quantum signatures on whatever starts it.`,
		Example: `  posthorn register alice --server https://posthorn.example
  posthorn send @bob "See you at eight"
  posthorn read --follow
  posthorn session show @bob`,
		Args:          noSubcommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().StringVar(&a.home, "home", defaultHome(), "`folder` of the profile; POSTHORN_HOME sets it too")
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "write what the engine does to standard error, without texts, names or keys")
	root.AddGroup(&cobra.Group{ID: groupTalk, Title: "Messages:"}, &cobra.Group{ID: groupAccount, Title: "Account:"})
	root.AddCommand(
		newSend(a), newRead(a), newAttachment(a), newSession(a), newContact(a), newVerify(a),
		newRegister(a), newDevice(a), newStatus(a), newTransparency(a),
		newVersion(a),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root
}

// defaultHome is the profile's folder when --home does not name one.
func defaultHome() string {
	if home := os.Getenv("POSTHORN_HOME"); home != "" {
		return home
	}
	return filepath.Join(xdg.DataHome, "posthorn")
}
