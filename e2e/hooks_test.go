package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// traces are what the hooks leave in a binary: their environment variables and
// their functions. (The name of secret.Created stays everywhere, in the tables
// of what was inlined.)
var traces = []string{
	"POSTHORN_TEST_CLOCK_OFFSET", "POSTHORN_TEST_SECRETS_FILE",
	"internal/clock.offset", "internal/clock.readOffset",
	"internal/secret.openRecord", "internal/secret.collectOnSignal",
}

// TestHooksAreAbsentFromOrdinaryBuilds compares the programs as everybody
// builds them with those of the tag testhooks.
func TestHooksAreAbsentFromOrdinaryBuilds(t *testing.T) {
	t.Parallel()
	withHooks := hooked.programs(t)
	for _, name := range []string{"posthorn", "posthornd"} {
		for _, trace := range traces {
			if !holds(t, filepath.Join(withHooks, name), trace) {
				t.Errorf("%s with testhooks: %s is not in it, so this test looks for the wrong thing", name, trace)
			}
			if holds(t, filepath.Join(binaries, name), trace) {
				t.Errorf("%s: %s is in an ordinary build", name, trace)
			}
		}
	}
}

func holds(t *testing.T, file, text string) bool {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(b, []byte(text))
}

// TestOrdinaryBuildsIgnoreTheHooks sets the variables for ordinary programs:
// they neither fail on an absurd offset nor write a secret.
func TestOrdinaryBuildsIgnoreTheHooks(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets")
	env := []string{"POSTHORN_TEST_CLOCK_OFFSET=absurd", "POSTHORN_TEST_SECRETS_FILE=" + file}
	d := newDaemon(t, filepath.Join(t.TempDir(), "server"))
	d.env = env
	d.start()
	t.Cleanup(d.kill)
	alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
	alice.env, bob.env = env, env
	alice.must("register", "alice", "--server", d.url())
	bob.must("register", "bob", "--server", d.url())
	alice.must("send", "@bob", "hello")
	if got := bob.texts(alice); got["hello"] != 1 {
		t.Errorf("texts %v", got)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the secrets file: %v", err)
	}
}
