package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestA51ProfileFilesGiveNothingAway: under the most careless umask, the files
// of a profile are the owner's alone, and hold no text, name, passphrase or
// database header in the clear.
func TestA51ProfileFilesGiveNothingAway(t *testing.T) {
	t.Parallel()
	server := startDaemon(t)
	alice := register(t, "alice", server.url())
	bob := newPerson(t, "bob")
	careless := exec.Command("sh", "-c", `umask 000; exec "$@"`, "sh", filepath.Join(binaries, "posthorn"), "--home", bob.home, "register", "bob", "--server", server.url())
	careless.Env = bob.environment()
	if out, err := careless.CombinedOutput(); err != nil {
		t.Fatalf("register: %v\n%s", err, out)
	}
	alice.must("send", "@bob", "canary of the first text")
	bob.must("read")
	bob.must("send", "@alice", "canary of the answer")
	server.kill()
	bob.run("send", "@alice", "canary of the waiting text")
	bob.run("send", "@nobody-yet", "canary of the unsealed text")

	files := 0
	if err := filepath.WalkDir(bob.home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		checkMode(t, path, entry)
		if entry.Type().IsRegular() {
			files++
			checkSealed(t, path, "canary of", "nobody-yet", "correct horse", "SQLite format", "BEGIN", "alice")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if files < 2 {
		t.Errorf("only %d files were looked at", files)
	}
}

func checkMode(t *testing.T, path string, entry fs.DirEntry) {
	t.Helper()
	info, err := entry.Info()
	if err != nil {
		t.Fatal(err)
	}
	want := fs.FileMode(0o600)
	if entry.IsDir() {
		want = 0o700
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s has mode %v, want %v", path, got, want)
	}
}

func checkSealed(t *testing.T, path string, secrets ...string) {
	t.Helper()
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		for how, form := range forms(s) {
			if bytes.Contains(stored, []byte(form)) {
				t.Errorf("%s holds %q, %s", path, s, how)
			}
		}
	}
}

// forms are the ways in which a secret may turn up. The middle of a Base64
// coding depends on where in the coded bytes it begins.
func forms(secret string) map[string]string {
	out := map[string]string{"as it is": secret, "in hex": hex.EncodeToString([]byte(secret))}
	for shift := range 3 {
		coded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + secret))
		out[fmt.Sprintf("in base64, shifted by %d", shift)] = coded[shift+1 : len(coded)-2]
	}
	return out
}

// TestA52LogsHoldNoSecrets sends canaries through success and through every
// error path there is, with all logs on, and looks for them in whatever either
// program wrote to standard error.
func TestA52LogsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	const text = "canary text 5b1f"
	server := startDaemon(t, "--log-level", "debug")
	var logs strings.Builder
	note := func(r result) { logs.WriteString(r.stderr) }

	alice, bob := register(t, "alice", server.url()), register(t, "bob", server.url())
	for _, line := range [][]string{
		{"send", "@bob", text}, {"send", "@bob", text, "--wait", "delivered", "--timeout", "300ms"},
		{"send", "@nobody-here", text}, {"send", "@alice", text}, {"send", "@NO", text},
		{"register", "alice", "--server", server.url()}, {"session", "rekey", "@bob", "--wait", "200ms"},
		{"send", "@bob", strings.Repeat(text, 5000)}, {"read", "--all", "--sent"}, {"status"},
	} {
		note(alice.run(append([]string{"--verbose"}, line...)...))
	}
	note(bob.run("--verbose", "read"))
	note(bob.run("--verbose", "send", "@alice", text))
	note(alice.run("--verbose", "read"))
	server.kill()
	note(alice.run("--verbose", "send", "@bob", text))
	note(alice.run("--verbose", "send", "@carol", text))
	note(alice.run("--verbose", "read"))
	note(alice.withPassphrase(t, "canary wrong 77aa").run("--verbose", "status"))
	note(garbageServer(t))
	logs.WriteString(server.logs.String())

	if logs.Len() < 500 {
		t.Fatalf("the logs were not on: %q", logs.String())
	}
	for _, s := range []string{text, "correct horse", "canary wrong 77aa"} {
		for how, form := range forms(s) {
			if strings.Contains(logs.String(), form) {
				t.Errorf("the logs hold %q, %s", s, how)
			}
		}
	}
}

// garbageServer registers with a server that answers everything with noise.
func garbageServer(t *testing.T) result {
	noise := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/proto")
		_, _ = w.Write([]byte("\x1b[2J\xff\xff\xff\xff"))
	}))
	defer noise.Close()
	r := newPerson(t, "eve").run("--verbose", "register", "eve", "--server", noise.URL)
	if r.code == 0 || strings.Contains(r.stderr, "\x1b") {
		t.Errorf("garbage from a server: exit %d, %q", r.code, r.stderr)
	}
	return r
}

// leastCommands is how often each of two processes tries, and how many tries of
// both have to succeed.
const leastCommands = 30

// TestA53TwoProcessesOnOneProfile: commands run against each other on one
// profile. Each either has the profile to itself or says that it is in use, no
// ratchet position is used twice, and exactly what succeeded arrives.
func TestA53TwoProcessesOnOneProfile(t *testing.T) {
	t.Parallel()
	server := startDaemon(t)
	wire, url := record(t, server.url())
	alice, bob := register(t, "alice", url), register(t, "bob", url)
	alice.must("send", "@bob", "first")

	var mu sync.Mutex
	codes, succeeded := map[string]int{}, 0
	enough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return succeeded >= leastCommands
	}
	var both sync.WaitGroup
	for process := range 2 {
		both.Go(func() {
			for i := 0; i < leastCommands || !enough() && i < 10*leastCommands; i++ {
				text := fmt.Sprintf("process %d message %d", process, i)
				r := alice.run("send", "@bob", text)
				if r.code == 1 && !strings.Contains(r.stderr, "another program uses this profile") {
					t.Errorf("exit 1: %s", r.stderr)
				}
				mu.Lock()
				codes[text] = r.code
				if r.code == 0 {
					succeeded++
				}
				mu.Unlock()
			}
		})
	}
	both.Wait()
	alice.must("read")
	bob.must("read")
	checkArrived(t, bob.texts(alice), codes)
	wire.checkNoKeyReuse(leastCommands)
}

// checkArrived: a text whose command succeeded arrived once, and so did one that
// was kept because the line broke (exit 3). One that found the profile in use
// (exit 1) did not.
func checkArrived(t *testing.T, got, codes map[string]int) {
	t.Helper()
	wanted := map[int]int{0: 1, 1: 0, 3: 1}
	succeeded := 0
	for text, code := range codes {
		want, known := wanted[code]
		if !known || got[text] != want {
			t.Errorf("%q: exit %d, and it arrived %d times", text, code, got[text])
		}
		if code == 0 {
			succeeded++
		}
	}
	if succeeded < leastCommands {
		t.Errorf("only %d of %d commands got the profile", succeeded, len(codes))
	}
}

// TestInterruptEndsEverythingPolitely: Ctrl-C ends a command that waits, and the
// demo leaves no folder behind, whatever it was doing.
func TestInterruptEndsEverythingPolitely(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	demo := exec.Command(filepath.Join(binaries, "posthorn-demo"))
	demo.Env = append(os.Environ(), "TMPDIR="+folder)
	stdout, err := demo.StdoutPipe()
	if err == nil {
		err = demo.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(stdout)
	for range 1 + rand.IntN(40) { // it is at work
		if _, err = said.ReadString('\n'); err != nil {
			break
		}
	}
	if err == nil {
		err = demo.Process.Signal(os.Interrupt)
	}
	var rest bytes.Buffer
	_, _ = said.WriteTo(&rest)
	if err := errors.Join(err, demo.Wait()); err != nil {
		t.Errorf("the demo ended with %v\n%s", err, rest.String())
	}
	if strings.Contains(rest.String(), "each arrived once") {
		t.Error("the demo went on to its end")
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v behind (%v)", left, err)
	}
}
