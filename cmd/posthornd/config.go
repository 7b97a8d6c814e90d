package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// configFlag is the option that names a file with other options.
const configFlag = "config"

// setting is one line of a configuration file.
type setting struct {
	key, value string
	line       int
}

// fromFile sets every option that neither the command line nor a variable has
// set from the file of --config, which has one key for each option: listen for
// --listen. Every line must be good, also where it is not what counts.
func fromFile(cmd *cobra.Command) error {
	option := cmd.Flags().Lookup(configFlag)
	if option == nil || option.Value.String() == "" {
		return nil
	}
	file := option.Value.String()
	text, err := os.ReadFile(file)
	if err != nil {
		return &failure{exitUser, "the configuration cannot be read: " + err.Error(), "name a file that posthornd may read with --config"}
	}
	settings, err := parseConfig(text)
	if err != nil {
		return wrongLine(file, err)
	}
	for _, s := range settings {
		if err := apply(cmd, s); err != nil {
			return wrongLine(file, err)
		}
	}
	return nil
}

// apply sets one option, unless it has been set already; then it only looks
// whether the value would do.
func apply(cmd *cobra.Command, s setting) error {
	f := cmd.Flags().Lookup(s.key)
	if f == nil || f.Name == configFlag || f.Name == "help" {
		return &lineError{s.line, fmt.Sprintf("there is no key %q%s", s.key, nearest(cmd, s.key))}
	}
	before := f.Value.String()
	if err := f.Value.Set(s.value); err != nil {
		return &lineError{s.line, s.key + " cannot be used: " + err.Error()}
	}
	if f.Changed {
		return f.Value.Set(before)
	}
	f.Changed = true
	return nil
}

// nearest names the option that a wrong key looks like.
func nearest(cmd *cobra.Command, key string) (hint string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if strings.ReplaceAll(strings.ToLower(key), "_", "-") == f.Name {
			hint = ", did you mean " + f.Name + "?"
		}
	})
	return hint
}

// lineError says what is wrong with a line.
type lineError struct {
	line int
	text string
}

func (e *lineError) Error() string { return fmt.Sprintf("%d: %s", e.line, e.text) }

func wrongLine(file string, err error) error {
	return &failure{exitUsage, file + ":" + err.Error() + "; the server was not started", "the keys are the options of 'posthornd serve --help', without the dashes"}
}

// parseConfig reads a configuration: TOML with keys and single values, and
// nothing else of TOML. Its error is a *lineError.
func parseConfig(text []byte) ([]setting, error) {
	if err := toml.Unmarshal(text, new(map[string]any)); err != nil {
		line := 1
		if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ = wrong.Position()
		}
		return nil, &lineError{line, strings.TrimPrefix(err.Error(), "toml: ")}
	}
	var all []setting
	var p unstable.Parser
	for p.Reset(text); p.NextExpression(); {
		s, err := parseLine(&p, p.Expression())
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func parseLine(p *unstable.Parser, e *unstable.Node) (s setting, err error) {
	var parts []string
	for key := e.Key(); key.Next(); {
		parts = append(parts, string(key.Node().Data))
		if s.line == 0 {
			s.line = p.Shape(key.Node().Raw).Start.Line
		}
	}
	s.key = strings.Join(parts, ".")
	if e.Kind != unstable.KeyValue {
		return s, &lineError{s.line, fmt.Sprintf("there are no sections, so no [%s]", s.key)}
	}
	value := e.Value()
	switch value.Kind {
	case unstable.String, unstable.Bool:
		s.value = string(value.Data)
	case unstable.Integer, unstable.Float:
		s.value = strings.ReplaceAll(string(value.Data), "_", "")
	default:
		return s, &lineError{s.line, s.key + " must be a text, a number, true or false"}
	}
	return s, nil
}
