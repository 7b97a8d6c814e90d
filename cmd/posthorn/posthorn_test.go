package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/content"
)

// outcome is what one command line left behind.
type outcome struct {
	stdout, stderr string
	code           int
}

// runLine runs a command line in this process, with stdin as a file and a home
// that holds no profile.
func runLine(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stdin")
	if err := os.WriteFile(path, []byte(stdin), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var stdout, stderr bytes.Buffer
	a := &app{stdin: in, stdout: &stdout, stderr: &stderr}
	code := run(t.Context(), a, append([]string{"--home", filepath.Join(t.TempDir(), "none")}, args...))
	return outcome{stdout.String(), stderr.String(), code}
}

func TestUsageErrorsExitTwoWithAHint(t *testing.T) {
	for name, c := range map[string]struct {
		line []string
		want string // in the messages
	}{
		"unknown command":         {[]string{"raed"}, `did you mean 'posthorn read'?`},
		"unknown subcommand":      {[]string{"session", "shwo"}, `did you mean 'posthorn session show'?`},
		"no subcommand":           {[]string{"session"}, "needs a subcommand"},
		"nothing like it":         {[]string{"frobnicate"}, "see 'posthorn --help'"},
		"unknown flag":            {[]string{"read", "--folow"}, "did you mean --follow?"},
		"bad duration":            {[]string{"read", "--wait", "soon"}, "invalid argument"},
		"negative duration":       {[]string{"read", "--wait", "-1s"}, "negative"},
		"missing name":            {[]string{"send"}, "takes @NAME and one TEXT"},
		"words without quotes":    {[]string{"send", "@bob", "two", "words"}, "in quotes"},
		"wait for what":           {[]string{"send", "@bob", "hi", "--wait", "read"}, "sent or delivered"},
		"no server":               {[]string{"register", "alice"}, "say --invite"},
		"capital letters":         {[]string{"register", "Alice", "--server", "http://127.0.0.1:1"}, "3 to 32"},
		"at sign in registration": {[]string{"register", "@alice", "--server", "http://127.0.0.1:1"}, "3 to 32"},
		"name too short":          {[]string{"send", "@al", "hi"}, "3 to 32"},
		"name too long":           {[]string{"send", "@" + strings.Repeat("a", 33), "hi"}, "3 to 32"},
		"path as a name":          {[]string{"send", "@../bob", "hi"}, "3 to 32"},
		"plain http abroad":       {[]string{"register", "alice", "--server", "http://posthorn.example"}, "https"},
		"no scheme":               {[]string{"register", "alice", "--server", "posthorn.example"}, "https"},
		"file address":            {[]string{"register", "alice", "--server", "file:///etc/passwd"}, "https"},
		"empty text":              {[]string{"send", "@bob", ""}, "empty"},
		"broken UTF-8":            {[]string{"send", "@bob", "\xff"}, "UTF-8"},
		"text too long":           {[]string{"send", "@bob", strings.Repeat("a", content.MaxText+1)}, "65536 bytes"},
		"own lines need all":      {[]string{"read", "--sent"}, "--sent needs --all"},
	} {
		t.Run(name, func(t *testing.T) {
			got := runLine(t, "", c.line...)
			if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, c.want) {
				t.Errorf("exit %d, stdout %q, stderr %q; want exit 2 and %q", got.code, got.stdout, got.stderr, c.want)
			}
			checkLabels(t, got.stderr)
		})
	}
}

// checkLabels wants one error line and one hint line, and nothing else.
func checkLabels(t *testing.T, stderr string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "posthorn: error: ") || !strings.HasPrefix(lines[1], "posthorn: hint: ") {
		t.Errorf("want one error and one hint, got %q", stderr)
	}
}

func TestTextFromStandardInputIsBounded(t *testing.T) {
	got := runLine(t, strings.Repeat("a", content.MaxText+1), "send", "@bob")
	if got.code != exitUsage || !strings.Contains(got.stderr, "65536") {
		t.Errorf("exit %d, %q", got.code, got.stderr)
	}
	if got := runLine(t, "", "send", "@bob"); got.code != exitUsage {
		t.Errorf("no input at all: exit %d, %q", got.code, got.stderr)
	}
}

func TestWithoutAProfileTheHintNamesRegister(t *testing.T) {
	for _, line := range [][]string{{"read"}, {"status"}, {"send", "@bob", "hi"}, {"contact", "list"}, {"session", "show", "@bob"}} {
		got := runLine(t, "", line...)
		if got.code != exitUser || !strings.Contains(got.stderr, "posthorn register") {
			t.Errorf("%v: exit %d, %q", line, got.code, got.stderr)
		}
	}
}

// TestA50ErrorsCarryNoControls: a command line or a server can put control
// sequences into an error, and they must not reach the terminal.
func TestA50ErrorsCarryNoControls(t *testing.T) {
	for _, line := range [][]string{
		{"\x1b]52;c;ZXZpbA==\x07"}, {"read", "--\x1b[2J"}, {"send", "@\x1b[31m", "hi"},
		{"register", "alice", "--server", "http://\u202e\x1b[2J"}, {"send", "@bob", "hi", "--wait", "\u009b2J"},
	} {
		got := runLine(t, "", line...)
		if strings.ContainsFunc(got.stdout+got.stderr, func(r rune) bool { return r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e) }) {
			t.Errorf("%q: raw control in %q", line, got.stderr)
		}
	}
	var stderr bytes.Buffer
	a := &app{stderr: &stderr}
	a.report(t.Context(), errors.New("server says \x1b[2J\nposthorn: error: forged"))
	if strings.Contains(stderr.String(), "\x1b") || strings.Contains(stderr.String(), "\nposthorn: error: forged") {
		t.Errorf("foreign words were printed raw: %q", stderr.String())
	}
}

func TestEveryVerdictExplainsItself(t *testing.T) {
	for _, v := range verdicts {
		var stderr bytes.Buffer
		a := &app{stderr: &stderr}
		if code := a.report(t.Context(), errors.Join(errors.New("cause"), v.is)); code != v.code {
			t.Errorf("%v: exit %d, want %d", v.is, code, v.code)
		}
		for _, word := range []string{"localdb:", "transport:", "content:", "V-", "cause"} {
			if v.is != errWaitRanOut && strings.Contains(stderr.String(), word) {
				t.Errorf("%v: the user is shown %q", v.is, stderr.String())
			}
		}
	}
}

func TestUnknownFailureIsInternal(t *testing.T) {
	var stderr bytes.Buffer
	a := &app{stderr: &stderr}
	if code := a.report(t.Context(), errors.New("odd")); code != exitInternal || !strings.Contains(stderr.String(), "odd") {
		t.Errorf("exit %d, %q", code, stderr.String())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if code := a.report(ended, errors.New("odd")); code != exitUser {
		t.Errorf("after an interrupt: exit %d", code)
	}
}

func TestPanicShowsNoValue(t *testing.T) {
	var stderr bytes.Buffer
	a := &app{stderr: &stderr}
	if code := a.crashed("a text of the user"); code != exitInternal || strings.Contains(stderr.String(), "a text") {
		t.Errorf("exit %d, %q", code, stderr.String())
	}
}

func TestPassphraseFile(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain": {"secret", "secret"}, "newline": {"secret\n", "secret"}, "windows": {"secret\r\n", "secret"},
		"one newline only": {"secret\n\n", "secret\n"}, "spaces stay": {" secret ", " secret "},
		"empty": {"", ""}, "newline alone": {"\n", ""}, "too long": {strings.Repeat("a", maxPassphrase+1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "passphrase")
			if err := os.WriteFile(path, []byte(c.in), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := readPassphrase(path)
			if string(got) != c.want || (err != nil) != (c.want == "") {
				t.Errorf("got %q, %v", got, err)
			}
			if err != nil && !errors.Is(err, client.ErrNoPassphrase) {
				t.Errorf("unexpected error %v", err)
			}
		})
	}
}

// TestEveryCommandHasHelp also keeps the examples honest: each one parses.
// A command that is added twice is shown twice.
func TestEveryCommandIsThereOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, cmd := range newRoot(&app{}).Commands() {
		if seen[cmd.Name()] {
			t.Errorf("%s is there twice", cmd.Name())
		}
		seen[cmd.Name()] = true
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	root := newRoot(&app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}})
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.Name() == "help" || cmd.HasParent() && cmd.Parent().Name() == "completion" || cmd.Name() == "completion" {
			return
		}
		if cmd.Short == "" || cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%s: short, long and example are wanted", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			checkExample(t, root, strings.Fields(line))
		}
	}
	walk(root)
}

func checkExample(t *testing.T, root *cobra.Command, words []string) {
	t.Helper()
	found, rest, err := root.Find(words[1:])
	if err != nil || found == root {
		t.Errorf("example %v: no such command: %v", words, err)
		return
	}
	for _, w := range rest {
		flag, isFlag := strings.CutPrefix(w, "--")
		if isFlag && flag != "" && found.Flags().Lookup(flag) == nil && found.InheritedFlags().Lookup(flag) == nil {
			t.Errorf("example %v: no flag %s", words, w)
		}
	}
}

func TestMomentIsUTCOrNull(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out}
	east := time.FixedZone("east", 3600)
	if err := a.printJSON([]moment{{}, moment(time.Date(2026, 1, 2, 3, 4, 5, 6e6, east))}); err != nil {
		t.Fatal(err)
	}
	if want := "[null,\"2026-01-02T02:04:05.006Z\"]\n"; out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
}
