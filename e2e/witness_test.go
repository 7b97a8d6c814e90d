package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
)

// witnessing is one posthornd witness process on a fixed loopback port.
type witnessing struct {
	t       *testing.T
	state   string
	address string
	logs    []string
	keys    []string
	process *exec.Cmd
}

// start returns once the witness has printed its keys and that it is ready.
func (w *witnessing) start() {
	w.t.Helper()
	args := []string{"witness", "serve", "--state", w.state, "--listen", w.address}
	for _, key := range w.logs {
		args = append(args, "--log", key)
	}
	w.process = exec.Command(filepath.Join(binaries, "posthornd"), args...)
	w.process.Stderr = os.Stderr
	out, err := w.process.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.process.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.keys = nil
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if key, ok := strings.CutPrefix(lines.Text(), "posthornd: witness key "); ok {
			w.keys = append(w.keys, key)
		}
		if lines.Text() == "posthornd: witness ready on http://"+w.address {
			return
		}
	}
	w.t.Fatal("the witness did not start")
}

// kill is the power cord.
func (w *witnessing) kill() {
	_ = w.process.Process.Kill()
	_ = w.process.Wait()
}

// A witness that is killed while a server publishes has never forgotten what it
// signed: the same log goes on with it, and everything that was confirmed is
// under both of its signatures.
func TestWitnessIsKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	data := filepath.Join(folder, "server")
	raw, err := exec.Command(filepath.Join(binaries, "posthornd"), "log", "keys", "--data", data, "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var keys struct {
		Roots []string `json:"root_log_keys"`
	}
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	w := &witnessing{t: t, state: filepath.Join(folder, "witness", "state.json"), address: machine.Address(t), logs: keys.Roots}
	w.start()
	t.Cleanup(func() { w.kill() })
	first := strings.Join(w.keys, " ")
	policy := filepath.Join(folder, "policy")
	text := fmt.Sprintf("witness ed %s http://%s/ed\nwitness pq %s http://%s/pq\ngroup both all ed pq\nquorum both\n", w.keys[0], w.address, w.keys[1], w.address)
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDaemon(t, data, "--log-witnesses", policy, "--log-interval", "10ms")
	d.start()
	t.Cleanup(d.kill)
	for i := range 4 {
		registered := make(chan result, 1)
		p := newPerson(t, fmt.Sprintf("user%d", i))
		go func() { registered <- p.run("register", p.name, "--server", d.url()) }()
		w.kill() // at whatever it is doing
		w.start()
		got := <-registered
		for end := time.Now().Add(patience); got.code != 0; got = p.run("register", p.name, "--server", d.url()) {
			if time.Now().After(end) {
				t.Fatalf("user %d: %+v", i, got)
			}
		}
	}
	if again := strings.Join(w.keys, " "); again != first {
		t.Error("the witness has other keys than before")
	}
	out, code := d.operate("log", "verify", "--json")
	var verdict struct {
		OK        bool
		Names     int
		Witnesses []string
	}
	if err := json.Unmarshal([]byte(out), &verdict); err != nil || code != 0 || !verdict.OK || verdict.Names != 4 || len(verdict.Witnesses) != 2 {
		t.Errorf("exit %d, %s, %v", code, out, err)
	}
}
