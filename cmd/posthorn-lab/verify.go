package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/report"
	"github.com/posthorn/posthorn/attacklab/scenario"
)

func newVerify(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify DIR",
		Short: "Run again what a folder holds, and compare every byte",
		Long: `Run the scenarios that run.json names once more, with the same seeds, and compare
the folder's files with the new ones. timings.json is left out: no seed makes a
machine equally fast twice. The exit code is 0 when all is equal and 1 when
something differs, is missing, or is no file of these results.`,
		Example: "  posthorn-lab verify lab-results",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(cmd, "verify wants one folder")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.verify(cmd.Context(), args[0]) },
	}
}

func (a *app) verify(ctx context.Context, folder string) error {
	o, err := readOptions(folder)
	if err != nil {
		return err
	}
	results, err := a.play(ctx, o, "running again")
	if errors.Is(err, attacklab.ErrUnknown) || errors.Is(err, scenario.ErrSyntax) {
		return &failure{exitUser, inFolder(folder, report.RunFile) + " does not say what can be run: " + plain(err) + "; nothing was verified", "run the scenarios again"}
	}
	if err != nil {
		return err
	}
	files, err := report.Files(results)
	if err != nil {
		return err
	}
	differs, err := compare(folder, files)
	if err != nil {
		return err
	}
	for _, line := range differs {
		if _, err := fmt.Fprintln(a.stdout, line); err != nil {
			return err
		}
	}
	if len(differs) > 0 {
		return &failure{exitUser, fmt.Sprintf("%d of %d files are not what their seeds give", len(differs), len(files)), "another version of the program may have written them; run the scenarios again"}
	}
	_, err = fmt.Fprintf(a.stdout, "%d files are equal to the byte; %s was left out\n", len(files), report.TimesFile)
	return err
}
