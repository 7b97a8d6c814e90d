package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show the version of this program",
		Long:    "Show the version, the commit it was built from, the Go version and the platform.",
		Example: "  posthorn version\n  posthorn version --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(*cobra.Command, []string) error {
		v := thisVersion()
		if asJSON {
			return a.printJSON(v)
		}
		commit := ""
		if v.Commit != nil {
			commit = fmt.Sprintf(" (%.12s)", *v.Commit)
		}
		_, err := fmt.Fprintf(a.stdout, "posthorn %s%s, %s, %s\n", v.Version, commit, v.Go, v.Platform)
		return err
	}
	return cmd
}

// versionJSON is what version --json prints.
type versionJSON struct {
	Schema   string  `json:"schema"`
	Version  string  `json:"version"`
	Commit   *string `json:"commit"`
	Modified *bool   `json:"modified"`
	Go       string  `json:"go"`
	Platform string  `json:"platform"`
}

// thisVersion reads what the Go tool wrote into the binary.
func thisVersion() versionJSON {
	v := versionJSON{Schema: "posthorn.version/1", Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = build.Main.Version
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = known(s.Value)
		case "vcs.modified":
			modified := s.Value == "true"
			v.Modified = &modified
		}
	}
	return v
}
