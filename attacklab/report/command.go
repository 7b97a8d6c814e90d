package report

import (
	"slices"
	"strconv"
	"strings"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/scenario"
)

// Command is the command line, without "--out", that makes the figures of a row
// of the level table again.
func Command(o attacklab.Options, row Row) string {
	o.Levels = []string{row.Key}
	o.Scenarios = slices.DeleteFunc(slices.Clone(o.Scenarios), func(text string) bool { return nameOf(text) != row.Scenario })
	return "posthorn-lab run" + arguments(o)
}

// arguments are those that choose these options: nothing for what is the rule.
// A scenario of one's own stands as FILE.txt.
func arguments(o attacklab.Options) (words string) {
	if all, err := attacklab.Select(nil, nil, nil, 0, false); err == nil {
		if !slices.Equal(all.Scenarios, o.Scenarios) {
			for _, text := range o.Scenarios {
				name := nameOf(text)
				if !slices.Contains(all.Scenarios, text) {
					name = "FILE.txt"
				}
				words += " " + name
			}
		}
		if !slices.Equal(all.Levels, o.Levels) {
			words += " --level " + strings.Join(o.Levels, ",")
		}
	}
	if o.Quick {
		words += " --quick"
	}
	if o.Seed != 0 {
		words += " --seed " + strconv.FormatUint(o.Seed, 10)
	}
	return words
}

func nameOf(text string) string {
	s, err := scenario.Parse(text)
	if err != nil {
		return ""
	}
	return s.Name
}
