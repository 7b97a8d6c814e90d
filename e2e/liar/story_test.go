package liar

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/pq3"
)

// TestStories runs testdata/*.txtar. Beside the commands of testscript a story
// has Alice and Bob, each with a front, $ALICE and $BOB; the account
// @victim; and
//
//	alice ARGS...          posthorn with Alice's profile; also bob
//	code N alice ARGS...   the same, ending with exit code N
//	lie alice KIND         what Alice's front does from now on: ghost, bundle,
//	                       fork, or honest
func TestStories(t *testing.T) {
	t.Parallel()
	commands := map[string]func(*testscript.TestScript, bool, []string){"code": codeCommand, "lie": lieCommand}
	for _, name := range []string{"alice", "bob"} {
		commands[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if err := asPerson(ts, name, args); (err != nil) != neg {
				ts.Fatalf("%s %v: %v", name, args, err)
			}
		}
	}
	testscript.Run(t, testscript.Params{Dir: "testdata", Cmds: commands, Setup: setUp})
}

// scene is what a story plays in.
type scene struct {
	o      *operator
	victim *puppet
	fronts map[string]*front
}

type sceneKey struct{}

func setUp(env *testscript.Env) error {
	t := env.T().(testing.TB)
	s := &scene{o: newOperator(t, nil)}
	s.victim = s.o.puppet("victim")
	s.fronts = map[string]*front{"alice": newFront(t, s.o.url), "bob": newFront(t, s.o.url)}
	env.Values[sceneKey{}] = s
	env.Setenv("ALICE", s.fronts["alice"].url)
	env.Setenv("BOB", s.fronts["bob"].url)
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("POSTHORN_PASSPHRASE_FILE", filepath.Join(env.WorkDir, "passphrase"))
	return os.WriteFile(filepath.Join(env.WorkDir, "passphrase"), []byte(passphrase+"\n"), 0o600)
}

func asPerson(ts *testscript.TestScript, name string, args []string) error {
	return ts.Exec(program, append([]string{"--home", ts.MkAbs(name)}, args...)...)
}

func codeCommand(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := asPerson(ts, args[1], args[2:]); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v: %v", args[1:], err)
		}
		got = exit.ExitCode()
	}
	if (got != want) != neg {
		ts.Fatalf("%v: exit code %d, want %d", args[1:], got, want)
	}
}

func lieCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lie NAME KIND")
	}
	s := ts.Value(sceneKey{}).(*scene)
	f, t := s.fronts[args[0]], s.o.t
	f.honest()
	ghost, key := newDevice(t)
	haunted := s.victim.adds(ghost, key)
	switch args[1] {
	case "honest":
	case "ghost":
		f.onAccount("victim", serves(haunted.Statements()))
	case "bundle":
		other := newPuppet(t, "mallory").bundle(0, pq3.BundleLife)
		f.onBundle(func(a *posthornv1.FetchBundleResponse) { a.Bundle = other })
	case "fork":
		other := s.o.fork()
		s.o.puppet("another")
		publish(t, other, newPuppet(t, "nobody").record())
		publish(t, other, newPuppet(t, "somebody").record())
		f.sees(other, map[account.Name]*account.Roster{})
	default:
		ts.Fatalf("lie: %q is not ghost, bundle, fork or honest", args[1])
	}
}
