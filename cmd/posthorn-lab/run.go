package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/report"
	"github.com/posthorn/posthorn/attacklab/scenario"
)

// runFlags are the options of run.
type runFlags struct {
	out    string
	levels []string
	seed   uint64
	quick  bool
	asJSON bool
}

func newRun(a *app) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [SCENARIO...]",
		Short: "Run scenarios and attackers, and write the results",
		Long: `Run the named scenarios, or all of them. A name that ends in .txt is a scenario
file of your own; 'posthorn-lab list NAME' prints one to begin with. With --out
the folder gets run.json, results.csv, charts and report.html, and timings.json,
which holds processor times and is the one file that no seed reproduces.`,
		Example: `  posthorn-lab run --out lab-results
  posthorn-lab run --quick --out lab-results
  posthorn-lab run bursts-10 my-scenario.txt --level 2,3,3A --seed 7 --json`,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.out, "out", "", "folder for the results; it is made if it is not there")
	flags.StringSliceVar(&f.levels, "level", nil, "levels to run: 0, 1, 2, 3, 3A, 3-sparse (default all)")
	flags.Uint64Var(&f.seed, "seed", 0, "number added to the seed of each scenario")
	flags.BoolVar(&f.quick, "quick", false, "shorter conversations and fewer moments of seizure")
	flags.BoolVar(&f.asJSON, "json", false, "print the results as one JSON object")
	cmd.RunE = func(cmd *cobra.Command, names []string) error { return a.run(cmd.Context(), names, f) }
	return cmd
}

func (a *app) run(ctx context.Context, names []string, f runFlags) (err error) {
	o, err := choose(names, f)
	if err != nil {
		return err
	}
	undo, err := prepareFolder(f.out)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			undo()
		}
	}()
	results, err := a.play(ctx, o, "running")
	if err != nil {
		return err
	}
	if f.out != "" {
		if err := a.write(f.out, results); err != nil {
			return err
		}
	}
	if f.asJSON {
		b, err := report.JSON(results)
		if err == nil {
			_, err = a.stdout.Write(b)
		}
		return err
	}
	return a.summarise(results, f.out)
}

// choose turns names and flags into options.
func choose(names []string, f runFlags) (attacklab.Options, error) {
	var known []string
	var extra []*scenario.Scenario
	for _, name := range names {
		if !strings.HasSuffix(name, ".txt") {
			known = append(known, name)
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return attacklab.Options{}, &failure{exitUser, "no scenario can be read: " + err.Error() + "; nothing was run", "name a file that you can read; 'posthorn-lab list NAME' prints one to begin with"}
		}
		s, err := scenario.Parse(string(text))
		if err != nil {
			return attacklab.Options{}, fmt.Errorf("%s: %w", name, err)
		}
		extra = append(extra, s)
	}
	return attacklab.Select(known, f.levels, extra, f.seed, f.quick)
}

// times is timings.json.
type times struct {
	Schema string         `json:"schema"`
	Note   string         `json:"note"`
	Micros map[string]int `json:"microseconds_per_message_sealing_and_opening"`
}

// write puts all files of a result into a folder.
func (a *app) write(folder string, r *attacklab.Results) error {
	files, err := report.Files(r)
	if err != nil {
		return err
	}
	t := times{"posthorn.lab-timings/1", "wall-clock time on this machine; 'posthorn-lab verify' leaves this file out", map[string]int{}}
	for _, key := range r.Options.Levels {
		level, _ := attacklab.LevelOf(key)
		if t.Micros[key], err = attacklab.Time(level, time.Now); err != nil {
			return err
		}
	}
	if files[report.TimesFile], err = json.MarshalIndent(t, "", " "); err != nil {
		return err
	}
	return writeFiles(folder, files)
}
