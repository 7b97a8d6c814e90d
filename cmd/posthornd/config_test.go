package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/server"
)

// written is a configuration file.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "posthornd.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The command line counts before a variable, that before the file, and the
// file before the default.
func TestWhereOptionsComeFrom(t *testing.T) {
	file := written(t, "# ours\nretention = \"10d\"\nmax-streams = 1_000\nopen-registration = true\nmailbox-bytes = \"128MiB\"\n")
	t.Setenv("POSTHORN_CONFIG", file)
	t.Setenv("POSTHORN_MAX_STREAMS", "20")
	t.Setenv("POSTHORN_RETENTION", "20d")
	cmd := newServe(&app{})
	if err := cmd.ParseFlags([]string{"--retention", "5d"}); err != nil {
		t.Fatal(err)
	}
	if err := fromElsewhere(cmd, nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"retention": "5d", "max-streams": "20", "open-registration": "true", "mailbox-bytes": "128MiB", "call-time": "20s",
	} {
		if got := cmd.Flags().Lookup(name).Value.String(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestServeFromAFile(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	file := written(t, fmt.Sprintf("data = %q\nlisten = \"127.0.0.1:0\"\nopen-registration = true\n", data))
	s := startWith(t, "--config", file)
	if _, err := os.Stat(filepath.Join(data, storeFolder)); err != nil {
		t.Error(err)
	}
	if code := s.end(); code != 0 {
		t.Errorf("exit %d\n%s", code, &s.stderr)
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	t.Setenv("POSTHORN_MAX_STREAMS", "20")
	for text, says := range map[string]string{
		"listen = \"127.0.0.1:0\"\nlissen = 1\n":     `:2: there is no key "lissen"`,
		"max_streams = 1":                            `:1: there is no key "max_streams", did you mean max-streams?`,
		"\n\nretention = \"soon\"":                   ":3: retention cannot be used: a duration is",
		"retention = \"1h\"":                         ":1: retention cannot be used: it is a duration from 1d to 366d",
		"max-streams = 0":                            ":1: max-streams cannot be used",
		"open-registration = \"perhaps\"":            ":1: open-registration cannot be used",
		"retention = \"10d\"\nretention = \"20d\"\n": ":2: ",
		"[limits]\nretention = \"10d\"":              ":1: there are no sections, so no [limits]",
		"limits.retention = \"10d\"":                 `:1: there is no key "limits.retention"`,
		"listen = [\"127.0.0.1:0\"]":                 ":1: listen must be a text, a number, true or false",
		"listen = {a = 1}":                           ":1: listen must be",
		"data = \"x\"\nlisten = 127.0.0.1":           ":2: ",
		"config = \"other.toml\"":                    `:1: there is no key "config"`,
		"help = true":                                `:1: there is no key "help"`,
		"data = \"\xff\"":                            ":1: ",
	} {
		file := written(t, text)
		code, out, complaint := command(t, "serve", "--config", file, "--data", t.TempDir())
		if code != exitUsage || out != "" || !strings.Contains(complaint, file+says) || !strings.Contains(complaint, "hint: ") {
			t.Errorf("%q: exit %d, %q, want %q", text, code, complaint, says)
		}
	}
	if code, _, complaint := command(t, "serve", "--config", filepath.Join(t.TempDir(), "none"), "--data", t.TempDir()); code != exitUser || !strings.Contains(complaint, "cannot be read") {
		t.Errorf("no file: exit %d, %s", code, complaint)
	}
}

// Every limit of the server is an option, and every option that is a limit
// refuses what makes no sense.
func TestEveryLimitIsAnOption(t *testing.T) {
	var o limitOptions
	flags := pflag.NewFlagSet("limits", pflag.ContinueOnError)
	o.flags(flags)
	if o.Limits != server.DefaultLimits() {
		t.Error("the options begin with other limits than the server's")
	}
	untouched := leaves(reflect.ValueOf(o.Limits), "Limits")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.DefValue != f.Value.String() || f.Usage == "" {
			t.Errorf("--%s: default %q, %q", f.Name, f.DefValue, f.Usage)
		}
		for _, nonsense := range []string{"", "0", "-1", "-5s", "x", "0B", "0:0", "1:", ":1", "-1:5", "99999999999999999999", "1e99", "NaN", "0d", "0s", "1EiB"} {
			if f.Value.Set(nonsense) == nil {
				t.Errorf("--%s takes %q", f.Name, nonsense)
			}
		}
		before := leaves(reflect.ValueOf(o.Limits), "Limits")
		other := map[string]string{"size": "128KiB", "number": "77", "duration": "7s", "rate": "70:700"}[f.Value.Type()]
		if strings.HasSuffix(f.Name, "retention") {
			other = "3d"
		}
		if strings.HasSuffix(f.Name, "-bytes") {
			other = "1MiB:2MiB"
		}
		if f.Name == "mailbox-bytes" {
			other = "7MiB"
		}
		if err := f.Value.Set(other); err != nil || f.Value.String() != other {
			t.Errorf("--%s: %v, reads %q as %q", f.Name, err, other, f.Value)
		}
		for name, value := range leaves(reflect.ValueOf(o.Limits), "Limits") {
			if before[name] != value {
				delete(untouched, name)
			}
		}
	})
	for name := range untouched {
		t.Errorf("%s has no option in serve_limits.go", name)
	}
}

// leaves are the plain values in a struct, by path.
func leaves(v reflect.Value, path string) map[string]any {
	if v.Kind() != reflect.Struct {
		return map[string]any{path: v.Interface()}
	}
	all := map[string]any{}
	for i := range v.NumField() {
		for name, value := range leaves(v.Field(i), path+"."+v.Type().Field(i).Name) {
			all[name] = value
		}
	}
	return all
}

// The help shows every option once, under a heading, with its default.
func TestHelpOfServe(t *testing.T) {
	code, out, _ := command(t, "serve", "--help")
	if code != 0 {
		t.Fatalf("exit %d", code)
	}
	newServe(&app{}).Flags().VisitAll(func(f *pflag.Flag) {
		if n := strings.Count(out, "  --"+f.Name+" "); n != 1 {
			t.Errorf("--%s stands there %d times", f.Name, n)
		}
	})
	for _, want := range []string{"\nServer:\n", "\nTLS:\n", "\nLimits:\n", "(default 64MiB)", "(default 30d)", "(default 4MiB:64MiB)"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in it:\n%s", want, out)
		}
	}
}
