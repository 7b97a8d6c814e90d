package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store/pebble"
)

// testPatience is how long a test waits for anything that has to happen. It only ends
// what hangs.
const testPatience = 5 * time.Minute

// serving is a posthornd that runs in this process.
type serving struct {
	t      *testing.T
	url    string
	stop   context.CancelFunc
	stderr bytes.Buffer // complete once it has ended
	ended  chan int
}

// start runs serve over a folder, on a free port.
func start(t *testing.T, data string, more ...string) *serving {
	t.Helper()
	return startWith(t, append([]string{"--data", data, "--listen", "127.0.0.1:0"}, more...)...)
}

// startWith runs serve and waits for its ready line.
func startWith(t *testing.T, options ...string) *serving {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &serving{t: t, stop: stop, ended: make(chan int, 1)}
	out, in := io.Pipe()
	go func() {
		code := run(ctx, &app{stdout: in, stderr: &s.stderr}, append([]string{"serve"}, options...))
		_ = in.Close()
		s.ended <- code
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "posthornd: ready on ")
	if err != nil || !ok {
		stop()
		t.Fatalf("ready line %q, %v, exit %d\n%s", line, err, <-s.ended, &s.stderr)
	}
	s.url = url
	t.Cleanup(stop)
	return s
}

// end stops it as SIGTERM does and returns the exit code.
func (s *serving) end() int {
	s.t.Helper()
	s.stop()
	select {
	case code := <-s.ended:
		return code
	case <-time.After(testPatience):
		s.t.Fatalf("it did not end within %v", testPatience)
		return 0
	}
}

// command runs a command that ends by itself.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	code = run(t.Context(), &app{stdout: &out, stderr: &complaints}, args)
	return code, out.String(), complaints.String()
}

func TestServeAndHealth(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "data"))
	address := strings.TrimPrefix(s.url, "http://")
	if code, out, _ := command(t, "health", "--addr", address); code != 0 || out != "ready\n" {
		t.Errorf("health: exit %d, %q", code, out)
	}
	if code := s.end(); code != 0 {
		t.Errorf("serve: exit %d\n%s", code, &s.stderr)
	}
	code, out, complaint := command(t, "health", "--addr", address)
	if code != exitServer || out != "" || !strings.HasPrefix(complaint, "posthornd: error: ") || !strings.Contains(complaint, "\nposthornd: hint: ") {
		t.Errorf("health of a stopped server: exit %d, %q, %q", code, out, complaint)
	}
}

func TestSecondProcessOnOneFolder(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	code, out, complaint := command(t, "serve", "--data", data, "--listen", "127.0.0.1:0")
	if code != exitUser || out != "" || !strings.Contains(complaint, errInUse.Error()) {
		t.Errorf("the second one: exit %d, %q, %q", code, out, complaint)
	}
	if code := s.end(); code != 0 {
		t.Errorf("the first one: exit %d", code)
	}
	if code := start(t, data).end(); code != 0 {
		t.Errorf("after the first one ended: exit %d", code)
	}
}

func TestRefusals(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := start(t, t.TempDir())
	used := strings.TrimPrefix(s.url, "http://")
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"every address":   {[]string{"serve", "--data", data, "--listen", "0.0.0.0:0"}, exitUser, "--behind-proxy"},
		"no host":         {[]string{"serve", "--data", data, "--listen", ":0"}, exitUser, "--behind-proxy"},
		"port in use":     {[]string{"serve", "--data", data, "--listen", used}, exitUser, "--listen"},
		"no folder":       {[]string{"serve"}, exitUsage, "--data DIR"},
		"argument":        {[]string{"serve", "--data", data, "now"}, exitUsage, "takes no arguments"},
		"unknown option":  {[]string{"serve", "--dta", data}, exitUsage, "--help"},
		"unknown level":   {[]string{"serve", "--data", data, "--log-level", "loud"}, exitUsage, "--log-level"},
		"unknown command": {[]string{"serv"}, exitUsage, "did you mean 'posthornd serve'?"},
		"health address":  {[]string{"health", "--addr", "http://127.0.0.1:1"}, exitUsage, "HOST:PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, complaint := command(t, c.args...)
			if code != c.code || out != "" || !strings.Contains(complaint, c.says) {
				t.Errorf("exit %d, %q, %q", code, out, complaint)
			}
		})
	}
	s.end()
}

func TestCheck(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if code, _, complaint := command(t, "check", "--data", data); code != exitUser || !strings.Contains(complaint, "no server has used this folder") {
		t.Errorf("no folder: exit %d, %q", code, complaint)
	}
	s := start(t, data)
	if code, _, complaint := command(t, "check", "--data", data); code != exitUser || !strings.Contains(complaint, errInUse.Error()) {
		t.Errorf("while it runs: exit %d, %q", code, complaint)
	}
	s.end()
	if code, out, complaint := command(t, "check", "--data", data); code != 0 || !strings.HasSuffix(out, ": 0 damaged\n") {
		t.Errorf("sound: exit %d, %q, %q", code, out, complaint)
	}
	spoil(t, filepath.Join(data, storeFolder))
	code, out, complaint := command(t, "check", "--data", data, "--json")
	var answer struct {
		OK              bool
		Values, Damaged int
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || code != exitUser || answer.OK || answer.Values < 2 || answer.Damaged != 1 || !strings.Contains(complaint, "restore a backup") {
		t.Errorf("spoilt: exit %d, %q, %q, %v", code, out, complaint, err)
	}
}

// spoil leaves behind a directory record that no server writes.
func spoil(t *testing.T, folder string) {
	t.Helper()
	s, err := pebble.Open(folder, pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CAS(t.Context(), "name/alice", 0, []byte("nobody")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOptionsFromTheEnvironment(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	t.Setenv("POSTHORN_DATA", data)
	t.Setenv("POSTHORN_LISTEN", "0.0.0.0:0")
	if code, _, complaint := command(t, "serve"); code != exitUser || !strings.Contains(complaint, "V-90") {
		t.Errorf("POSTHORN_LISTEN is not seen: exit %d, %q", code, complaint)
	}
	if code := start(t, data).end(); code != 0 { // the command line wins
		t.Errorf("exit %d", code)
	}
	t.Setenv("POSTHORN_OPEN_REGISTRATION", "maybe")
	if code, _, complaint := command(t, "serve"); code != exitUsage || !strings.Contains(complaint, "POSTHORN_OPEN_REGISTRATION") {
		t.Errorf("a variable that cannot be used: exit %d, %q", code, complaint)
	}
}

func TestFolderIsPrivate(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if code := start(t, data).end(); code != 0 {
		t.Fatalf("exit %d", code)
	}
	for _, folder := range []string{data, filepath.Join(data, storeFolder)} {
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", folder, info.Mode(), err)
		}
	}
}

func TestVersion(t *testing.T) {
	if code, out, _ := command(t, "version"); code != 0 || !strings.HasPrefix(out, "posthornd ") {
		t.Errorf("exit %d, %q", code, out)
	}
	if code, out, _ := command(t, "version", "--json"); code != 0 || !strings.HasPrefix(out, `{"schema":"posthornd.version/1"`) {
		t.Errorf("exit %d, %q", code, out)
	}
}
