package main

import (
	"debug/elf"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/internal/machine"
)

// inRepository is the text of a file of this repository.
func inRepository(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkCommand fails unless a command line of ours has a command and options
// that exist. Words in capitals stand for something.
func checkCommand(t *testing.T, where string, words []string) {
	t.Helper()
	cmd, rest, err := newRoot(&app{}).Find(words)
	if err != nil || len(words) > 0 && !strings.HasPrefix(words[0], "-") && cmd.Name() == "posthornd" {
		t.Errorf("%s: 'posthornd %s': no such command", where, strings.Join(words, " "))
		return
	}
	for _, w := range rest {
		name, option := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		if option && name != "help" && cmd.Flags().Lookup(name) == nil {
			t.Errorf("%s: '%s' has no option --%s", where, cmd.CommandPath(), name)
		}
	}
}

// variables are the names of the environment that a command reads.
func variables(cmds ...*cobra.Command) (names []string) {
	for _, cmd := range cmds {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, variableOf(f)) })
	}
	return names
}

// systemd takes the unit, and finds little of the machine left open to it.
func TestUnit(t *testing.T) {
	analyze := machine.Tool(t, "systemd-analyze", "systemd")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := inRepository(t, "deploy/posthornd.service")
	exec1 := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/posthornd (.*)$`).FindStringSubmatch(unit)
	if exec1 == nil {
		t.Fatal("the unit starts something else")
	}
	checkCommand(t, "the unit", strings.Fields(exec1[1]))
	file := filepath.Join(t.TempDir(), "posthornd.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(unit, "/usr/bin/posthornd", self)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || strings.Contains(string(out), "posthornd.service") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	if out, err := exec.Command(analyze, "security", "--offline=yes", "--threshold=20", file).CombinedOutput(); err != nil {
		t.Errorf("more than 2.0 of the machine is open to it: %v\n%s", err, out)
	}
}

// Every line of the example is good, those that stand for another choice too.
func TestConfigurationExample(t *testing.T) {
	text := inRepository(t, "deploy/posthornd.toml")
	open := regexp.MustCompile(`(?m)^# ([a-z-]+ = )`).ReplaceAllString(text, "$1")
	settings, err := parseConfig([]byte(open))
	if err != nil || len(settings) < 10 {
		t.Fatalf("%d settings, %v", len(settings), err)
	}
	for _, s := range settings {
		if err := apply(newServe(&app{}), s); err != nil {
			t.Errorf("deploy/posthornd.toml:%v", err)
		}
	}
}

// The image runs one static program as nobody, and asks it for its health.
func TestDockerfile(t *testing.T) {
	text := strings.ReplaceAll(inRepository(t, "deploy/Dockerfile"), "\\\n", " ")
	last := map[string]string{}
	known := []string{"FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "ENV", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "" || strings.HasPrefix(word, "#") {
			continue
		}
		if !slices.Contains(known, word) {
			t.Errorf("instruction %s", word)
		}
		last[word] = rest
	}
	if last["FROM"] != "scratch" || last["USER"] != "65532:65532" || last["ENTRYPOINT"] != `["/posthornd"]` {
		t.Errorf("the image: %v", last)
	}
	if !strings.HasSuffix(last["HEALTHCHECK"], `CMD ["/posthornd", "health"]`) || last["CMD"] != `["serve"]` {
		t.Errorf("its commands: %v", last)
	}
	names := variables(newServe(&app{}), newHealth(&app{}))
	for _, assignment := range strings.Fields(last["ENV"]) {
		if name, _, _ := strings.Cut(assignment, "="); !slices.Contains(names, name) {
			t.Errorf("nothing reads %s", name)
		}
	}
	for line := range strings.Lines(text) {
		if words, ours := strings.CutPrefix(strings.TrimSpace(line), "#   docker run "); ours {
			_, words, _ = strings.Cut(words, " posthornd ")
			checkCommand(t, "the Dockerfile", strings.Fields(words))
		}
	}
	build := regexp.MustCompile(`RUN CGO_ENABLED=0 go build (.*) -o /posthornd (\S+)`).FindStringSubmatch(text)
	if build == nil {
		t.Fatal("it builds something else")
	}
	if testing.Short() || !machine.Strict() {
		return // CI builds it; with these flags everything is compiled anew, which takes minutes
	}
	checkStatic(t, strings.Fields(strings.ReplaceAll(build[1], `"`, "'")), build[2])
}

// checkStatic builds as the image does and wants no loader in the program.
func checkStatic(t *testing.T, flags []string, pkg string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "posthornd")
	line := fmt.Sprintf("cd ../.. && CGO_ENABLED=0 GOOS=linux go build %s -o '%s' %s", strings.Join(flags, " "), program, pkg)
	if out, err := exec.CommandContext(t.Context(), machine.Tool(t, "sh", "dash"), "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Section(".interp") != nil {
		t.Error("the program needs a loader, which the image has not")
	}
}

// The service manager is told once the server takes calls, and not before.
func TestServiceManagerIsTold(t *testing.T) {
	folder, err := os.MkdirTemp("", "ph") // the name of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	name := filepath.Join(folder, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		machine.Lacks(t, "no datagram sockets in the file system: %v", err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	s := start(t, t.TempDir())
	heard := make([]byte, 64)
	n, err := c.Read(heard)
	if err != nil || string(heard[:n]) != "READY=1" {
		t.Errorf("heard %q, %v", heard[:n], err)
	}
	s.end()
	t.Setenv("NOTIFY_SOCKET", name+"x")
	if code, _, complaint := command(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0"); code == 0 || !strings.Contains(complaint, "service manager") {
		t.Errorf("a manager that is not there: exit %d, %s", code, complaint)
	}
}
