package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// watching is a witness that runs.
type watching struct {
	t     *testing.T
	url   string
	keys  []string
	stop  context.CancelFunc
	ended chan int
}

// startWitness runs witness serve and waits for its ready line.
func startWitness(t *testing.T, options ...string) *watching {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w := &watching{t: t, stop: stop, ended: make(chan int, 1)}
	out, in := io.Pipe()
	var complaints strings.Builder
	go func() {
		code := run(ctx, &app{stdout: in, stderr: &complaints}, append([]string{"witness", "serve", "--listen", "127.0.0.1:0"}, options...))
		_ = in.Close()
		w.ended <- code
	}()
	t.Cleanup(stop)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if key, ok := strings.CutPrefix(lines.Text(), "posthornd: witness key "); ok {
			w.keys = append(w.keys, key)
		}
		if url, ok := strings.CutPrefix(lines.Text(), "posthornd: witness ready on "); ok {
			w.url = url
			return w
		}
	}
	t.Fatalf("no ready line, exit %d\n%s", <-w.ended, complaints.String())
	return nil
}

func (w *watching) end() int {
	w.stop()
	return <-w.ended
}

// both is a policy that wants the signatures with both keys.
func (w *watching) both(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "policy")
	text := fmt.Sprintf("witness ed %s %s/ed\nwitness pq %s %s/pq\ngroup all-of-it all ed pq\nquorum all-of-it\n", w.keys[0], w.url, w.keys[1], w.url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// beginLog makes a log and returns the keys that its witnesses need.
func beginLog(t *testing.T, data string) printedCheckpoint {
	t.Helper()
	s := start(t, data)
	if code := s.end(); code != 0 {
		t.Fatalf("exit %d\n%s", code, &s.stderr)
	}
	code, out, complaint := command(t, "log", "checkpoint", "--data", data, "--json")
	var p printedCheckpoint
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 0 {
		t.Fatalf("exit %d, %s, %v", code, complaint, err)
	}
	return p
}

func TestLogCommands(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if code, _, complaint := command(t, "log", "checkpoint", "--data", data); code != exitUser || !strings.Contains(complaint, "no transparency log") {
		t.Errorf("no folder: exit %d, %q", code, complaint)
	}
	p := beginLog(t, data)
	s := start(t, data, "--open-registration", "--log-interval", "10ms")
	settle(t, s.url, "alice")
	settle(t, s.url, "bob")
	code, out, complaint := command(t, "log", "checkpoint", "--data", data)
	if code != 0 || !strings.HasPrefix(out, p.Origin+"\n") {
		t.Errorf("while it runs: exit %d, %q, %q", code, out, complaint)
	}
	s.end()
	code, out, complaint = command(t, "log", "verify", "--data", data, "--json")
	var v printedVerdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || !v.OK || v.Updates != 2 || v.Names != 2 || v.Roots != 4 || len(v.Root) != 64 {
		t.Errorf("verify: exit %d, %s, %s, %v", code, out, complaint, err)
	}
	tile := filepath.Join(data, logFolder, "updates", "tile", "entries", "000.p", "2")
	raw, err := os.ReadFile(tile)
	if err != nil {
		t.Fatal(err)
	}
	raw[40] ^= 1
	if err := os.WriteFile(tile, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, complaint := command(t, "log", "verify", "--data", data); code != exitUser || !strings.Contains(complaint, "does not verify") {
		t.Errorf("one wrong byte: exit %d, %q", code, complaint)
	}
}

// A server whose policy wants both signatures of a witness serves nothing new
// without them, and goes on when the witness is back.
func TestServerWithAWitness(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	_, out, _ := command(t, "log", "keys", "--data", data, "--json")
	var p printedKeys
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	if code, again, _ := command(t, "log", "keys", "--data", data); code != 0 || again != p.Roots[0]+"\n"+p.Roots[1]+"\n" {
		t.Errorf("again: exit %d, %q", code, again)
	}
	state := filepath.Join(t.TempDir(), "witness", "state.json")
	w := startWitness(t, "--state", state, "--log", p.Roots[0], "--log", p.Roots[1])
	if code, _, complaint := command(t, "witness", "serve", "--listen", "127.0.0.1:0", "--state", state, "--log", p.Roots[0]); code != exitUser || !strings.Contains(complaint, "another witness") {
		t.Errorf("a second one on its file: exit %d, %q", code, complaint)
	}
	s := start(t, data, "--open-registration", "--log-interval", "10ms", "--log-witnesses", w.both(t))
	settle(t, s.url, "alice")
	code, out, _ := command(t, "log", "checkpoint", "--data", data, "--json")
	var c printedCheckpoint
	if err := json.Unmarshal([]byte(out), &c); err != nil || code != 0 || len(c.Witnesses) != 2 || !strings.Contains(c.Policy, "quorum all-of-it") {
		t.Errorf("exit %d, %s, %v", code, out, err)
	}
	if code := w.end(); code != 0 {
		t.Errorf("the witness: exit %d", code)
	}
	s.end()
	raw, err := os.ReadFile(state)
	if err != nil || !strings.Contains(string(raw), c.Origin) {
		t.Errorf("the witness remembers nothing: %v", err)
	}
}

func TestPoliciesThatCannotBeUsed(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy")
	for _, text := range []string{"quorum nobody\n", "witness w not-a-key http://127.0.0.1:1\nquorum w\n", "what\n"} {
		if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		data := filepath.Join(t.TempDir(), "data")
		code, _, complaint := command(t, "serve", "--data", data, "--listen", "127.0.0.1:0", "--log-witnesses", policy)
		if code != exitUser || !strings.Contains(complaint, "--log-witnesses") {
			t.Errorf("%q: exit %d, %q", text, code, complaint)
		}
	}
	if code, _, complaint := command(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--log-witnesses", policy+"-none"); code != exitUser || !strings.Contains(complaint, "cannot be read") {
		t.Errorf("no file: exit %d, %q", code, complaint)
	}
}

// The operator's way to another policy: refused with what to do while its
// witnesses are not asked, and done at once when they are.
func TestLogPolicyCommands(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := beginLog(t, data)
	w := startWitness(t, "--state", filepath.Join(t.TempDir(), "state.json"), "--log", p.Roots[0], "--log", p.Roots[1])
	policy := w.both(t)
	if code, _, complaint := command(t, "log", "policy", "set", policy, "--data", data); code != exitServer || !strings.Contains(complaint, "posthornd serve") {
		t.Errorf("without a server: exit %d, %q", code, complaint)
	}
	s := start(t, data, "--log-interval", "10ms")
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("quorum nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, hint := range map[string]string{policy: "--log-witnesses", bad: "witness, group and quorum", bad + "-none": "name a file"} {
		if code, _, complaint := command(t, "log", "policy", "set", file, "--data", data); code != exitUser || !strings.Contains(complaint, hint) || !strings.Contains(complaint, "nothing was changed") {
			t.Errorf("%s: exit %d, %q", hint, code, complaint)
		}
	}
	s.end()
	s = start(t, data, "--log-interval", "10ms", "--log-witnesses", policy)
	for range 2 {
		code, out, complaint := command(t, "log", "policy", "set", policy, "--data", data, "--json")
		var set printedPolicy
		if err := json.Unmarshal([]byte(out), &set); err != nil || code != 0 || set.Number != 1 || len(set.Witnesses) != 2 {
			t.Errorf("exit %d, %s, %q, %v", code, out, complaint, err)
		}
	}
	code, out, _ := command(t, "log", "policy", "show", "--data", data)
	if code != 0 || !strings.Contains(out, "quorum all-of-it\n") || strings.Contains(out, w.url) || !strings.Contains(out, "log "+p.Roots[0]+"\n") {
		t.Errorf("exit %d, %q", code, out)
	}
	s.end()
	code, out, complaint := command(t, "log", "checkpoint", "--data", data, "--json")
	var c printedCheckpoint
	if err := json.Unmarshal([]byte(out), &c); err != nil || code != 0 || len(c.Witnesses) != 2 || !strings.Contains(c.Policy, "quorum all-of-it") {
		t.Errorf("exit %d, %s, %q, %v", code, out, complaint, err)
	}
	if code, out, complaint = command(t, "log", "verify", "--data", data); code != 0 {
		t.Errorf("exit %d, %s, %q", code, out, complaint)
	}
}
