package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/report"
)

// explained is what explain prints with --json.
type explained struct {
	Schema string           `json:"schema"`
	Note   string           `json:"note"`
	Levels []explainedLevel `json:"levels"`
}

type explainedLevel struct {
	level
	Server  string `json:"server_alone_reads"`
	Quantum string `json:"recording_and_quantum_read"`
	Thief   string `json:"seized_device_reads"`
	Both    string `json:"seized_device_and_quantum_read"`
	Command string `json:"command"`
}

func newExplain(a *app) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Explain the levels, with what each attacker reads in a run made now",
		Long: `Run the scenario of strict alternation on every level and print the level table:
what the level means, the apps that Apple's chart of 2024 names for it, what each
attacker reads, and the command that makes the figures.`,
		Example: "  posthorn-lab explain\n  posthorn-lab explain --json",
		Args:    noArguments,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.explain(cmd.Context(), asJSON) }
	return cmd
}

func (a *app) explain(ctx context.Context, asJSON bool) error {
	o, err := attacklab.Select([]string{"alternation"}, nil, nil, 0, false)
	if err != nil {
		return err
	}
	o.AttacksOnly = true
	r, err := a.play(ctx, o, "running")
	if err != nil {
		return err
	}
	if asJSON {
		out := explained{Schema: attacklab.Schema, Note: r.Note}
		for _, row := range report.LevelTable(r) {
			out.Levels = append(out.Levels, explainedLevel{level{row.Key, row.Name, row.Meaning, row.Apps},
				row.Read[0], row.Read[1], row.Read[2], row.Read[3], report.Command(r.Options, row)})
		}
		return json.NewEncoder(a.stdout).Encode(out)
	}
	for _, row := range report.LevelTable(r) {
		fmt.Fprintf(a.stdout, "Level %s, %s: %s.\n  Examples: %s.\n", row.Key, row.Name, row.Meaning, row.Apps)
	}
	fmt.Fprintln(a.stdout)
	return a.levelTable(r)
}
