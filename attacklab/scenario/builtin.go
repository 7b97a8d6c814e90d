package scenario

import (
	"embed"
	"fmt"
	"slices"
)

//go:embed scenarios/*.txt
var files embed.FS

// Builtin are the scenarios that come with the lab, by name. They are parsed
// at each call.
func Builtin() ([]*Scenario, error) {
	entries, err := files.ReadDir("scenarios")
	if err != nil {
		return nil, err
	}
	var all []*Scenario
	for _, e := range entries {
		text, err := files.ReadFile("scenarios/" + e.Name())
		if err != nil {
			return nil, err
		}
		s, err := Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		all = append(all, s)
	}
	slices.SortFunc(all, byName)
	return all, nil
}
