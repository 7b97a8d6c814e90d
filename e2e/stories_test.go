package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestStories runs testdata/*.txtar. Beside the commands of testscript a story
// has:
//
//	server start|stop|kill   a posthornd of its own; its address is $SERVER
//	alice ARGS...            posthorn with Alice's profile; also bob, carol
//	code N alice ARGS...     the same, ending with exit code N
//	linked NEW OLD           a new profile becomes a device of that of OLD; the last outputs are JSON
//	held FOLDER              wait until a program uses the profile
//	sametext FILE            the last output is one JSON line whose text is FILE
//	saveall NAME FOLDER      save every attachment that NAME has
//	remember NAME PATTERN    the variable NAME becomes what the group of PATTERN matches in the last output
//	private FOLDER           only the owner may use the folder and its files
func TestStories(t *testing.T) {
	t.Parallel()
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"server": serverCommand, "code": codeCommand, "held": heldCommand,
		"sametext": sameTextCommand, "private": privateCommand, "saveall": saveAllCommand, "remember": rememberCommand, "linked": linkedCommand,
	}
	for _, name := range []string{"alice", "bob", "carol", "laptop", "alice2"} {
		commands[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if err := asPerson(ts, name, args); (err != nil) != neg {
				ts.Fatalf("%s %v: %v", name, args, err)
			}
		}
	}
	testscript.Run(t, testscript.Params{Dir: "testdata", Cmds: commands, Setup: setUp})
}

// setUp gives a story the built programs, a passphrase and a clean environment.
func setUp(env *testscript.Env) error {
	env.Setenv("PATH", binaries+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "xdg"))
	env.Setenv("POSTHORN_PASSPHRASE_FILE", filepath.Join(env.WorkDir, "passphrase"))
	d := newDaemon(env.T().(testing.TB), filepath.Join(env.WorkDir, "server"))
	env.Values[daemonKey{}] = d
	env.Defer(d.kill)
	env.Setenv("SERVER", d.url())
	return os.WriteFile(filepath.Join(env.WorkDir, "passphrase"), []byte("correct horse battery staple\n"), 0o600)
}

// daemonKey is where a story keeps its server.
type daemonKey struct{}

func serverCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: server start|stop|kill")
	}
	d := ts.Value(daemonKey{}).(*daemon)
	switch args[0] {
	case "start":
		d.start()
	case "stop":
		ts.Check(d.stop())
	case "kill":
		d.kill()
	default:
		ts.Fatalf("server: %q is not start, stop or kill", args[0])
	}
}

// asPerson runs posthorn with the profile of that name.
func asPerson(ts *testscript.TestScript, name string, args []string) error {
	return ts.Exec("posthorn", append([]string{"--home", ts.MkAbs(name)}, args...)...)
}

// exitCode is the code a command ended with, or -1 if it was not run to an end.
func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

func codeCommand(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCode(asPerson(ts, args[1], args[2:])); (got != want) != neg {
		ts.Fatalf("%v: exit code %d, want %d", args[1:], got, want)
	}
}

// heldCommand waits until a program in the background has the profile. It only
// looks at the lock: a command that took the profile to look could be what the
// other program gives up for.
func heldCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: held FOLDER")
	}
	lock := flock.New(filepath.Join(ts.MkAbs(args[0]), "lock"))
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		free, err := lock.TryLock()
		ts.Check(err)
		if !free {
			return
		}
		ts.Check(lock.Unlock())
	}
	ts.Fatalf("nobody took %s in %v", args[0], patience)
}

func rememberCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: remember NAME PATTERN")
	}
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("the last output has no match of %q", args[1])
	}
	ts.Setenv(args[0], found[1])
}

func sameTextCommand(ts *testscript.TestScript, neg bool, args []string) {
	var message struct{ Text string }
	line := ts.ReadFile("stdout")
	ts.Check(json.Unmarshal([]byte(line), &message))
	if strings.Count(line, "\n") != 1 {
		ts.Fatalf("more than one line: %s", line)
	}
	if want := ts.ReadFile(args[0]); (message.Text != want) != neg {
		ts.Fatalf("the text differs from %s: %d bytes, %d wanted", args[0], len(message.Text), len(want))
	}
}

func privateCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("private cannot be negated")
	}
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = errors.New(path + " has mode " + info.Mode().Perm().String())
		}
		return err
	}))
}
