package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/scenario"
)

// listing is what list prints with --json.
type listing struct {
	Schema    string   `json:"schema"`
	Scenarios []listed `json:"scenarios"`
	Levels    []level  `json:"levels"`
}

type listed struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	About    string   `json:"about"`
	Seed     uint64   `json:"seed"`
	Texts    int      `json:"texts"`
	Devices  []string `json:"devices"`
	Attacks  []string `json:"attackers"`
	Actively []string `json:"active_attacks"`
}

type level struct {
	Key     string `json:"key"`
	Name    string `json:"name"`
	Meaning string `json:"meaning"`
	Apps    string `json:"examples"`
}

func newList(a *app) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:     "list [SCENARIO]",
		Short:   "List scenarios and levels, or print a scenario's text",
		Long:    "List the scenarios and the levels. With a name, print the text of that scenario, which is a good beginning for one of your own.",
		Example: "  posthorn-lab list\n  posthorn-lab list bursts-10 > mine.txt\n  posthorn-lab list --json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, "list wants one name at most")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(_ *cobra.Command, args []string) error { return a.list(args, asJSON) }
	return cmd
}

func (a *app) list(names []string, asJSON bool) error {
	all, err := scenario.Builtin()
	if err != nil {
		return err
	}
	if len(names) == 1 {
		for _, s := range all {
			if s.Name == names[0] && asJSON {
				return json.NewEncoder(a.stdout).Encode(listOf([]*scenario.Scenario{s}))
			}
			if s.Name == names[0] {
				_, err := fmt.Fprint(a.stdout, s.Text)
				return err
			}
		}
		return &attacklab.UnknownError{Kind: "scenario", Name: names[0]}
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(listOf(all))
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\ttexts\tattackers\tabout")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", s.Name, s.Messages, len(s.Attacks)+len(s.Actives), s.About)
	}
	fmt.Fprintln(w, "\nlevel\tprotocol\tmeaning")
	for _, l := range attacklab.Levels() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.Key, l.Name, l.Meaning)
	}
	return w.Flush()
}

func listOf(all []*scenario.Scenario) listing {
	out := listing{Schema: attacklab.Schema}
	for _, s := range all {
		one := listed{Name: s.Name, Title: s.Title, About: s.About, Seed: s.Seed, Texts: s.Messages, Devices: s.Devices, Attacks: []string{}, Actively: []string{}}
		for _, attack := range s.Attacks {
			one.Attacks = append(one.Attacks, attack.String())
		}
		for _, active := range s.Actives {
			one.Actively = append(one.Actively, string(active))
		}
		out.Scenarios = append(out.Scenarios, one)
	}
	for _, l := range attacklab.Levels() {
		out.Levels = append(out.Levels, level{l.Key, l.Name, l.Meaning, l.Apps})
	}
	return out
}
