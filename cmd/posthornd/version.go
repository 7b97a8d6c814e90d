package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is what the version command prints.
type version struct {
	Schema   string `json:"schema"`
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(a *app) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show the version of this program",
		Long:    "Show the version, the commit it was built from, the Go version and the platform.",
		Example: "  posthornd version\n  posthornd version --json",
		Args:    noArguments,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(*cobra.Command, []string) error {
		v := thisVersion()
		if asJSON {
			return json.NewEncoder(a.stdout).Encode(v)
		}
		_, err := fmt.Fprintf(a.stdout, "posthornd %s, %s, %s\n", v.Version, v.Go, v.Platform)
		return err
	}
	return cmd
}

// thisVersion reads what the Go tool wrote into the binary.
func thisVersion() version {
	v := version{Schema: "posthornd.version/1", Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = build.Main.Version
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}
