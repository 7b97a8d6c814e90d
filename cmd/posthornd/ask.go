package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

// question is what every command about one data folder is told.
type question struct {
	data   string // the folder
	asJSON bool   // one JSON object is wanted
}

// asking gives a command the flags of a question, and runs it once there is a
// folder.
func asking(cmd *cobra.Command, run func(ctx context.Context, q question, args []string) error) *cobra.Command {
	q := question{}
	dataFlag(cmd, &q.data)
	cmd.Flags().BoolVar(&q.asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if q.data == "" {
			return needsFolder(cmd)
		}
		return run(cmd.Context(), q, args)
	}
	return cmd
}

func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", "", "`folder` with everything the server keeps")
}

func needsFolder(cmd *cobra.Command) *failure {
	return usage(cmd, cmd.Name()+" needs a folder: --data DIR")
}

// printObject prints one JSON object on a line: its schema, then the fields of
// v, which is a struct with at least one.
func (a *app) printObject(schema string, v any) error {
	fields, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "{\"schema\":%q,%s\n", schema, fields[1:])
	return err
}
