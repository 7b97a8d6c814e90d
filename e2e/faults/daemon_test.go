//go:build linux && amd64

package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
)

// patience is how long anything may take that should be quick. It only ends what
// hangs.
const patience = 4 * time.Minute

// daemon is a posthornd on a fixed loopback port, in one life after another.
type daemon struct {
	t       testing.TB
	data    string
	address string
	env     []string
	options []string
	judge   func(operation) verdict // nil: it runs without a tracer

	pid  atomic.Int64  // of the present life
	died chan struct{} // closed at the end of the present life
	code int           // of the last life, -1 after a signal
	logs *bytes.Buffer // of the present life; complete once it has died
}

func newDaemon(t testing.TB, data string) *daemon {
	d := &daemon{t: t, data: data, address: machine.Address(t), died: make(chan struct{})}
	close(d.died)
	t.Cleanup(d.kill)
	return d
}

func (d *daemon) url() string { return "http://" + d.address }

// start begins a life. It returns when the server is ready, or with an error
// when that life has ended before.
func (d *daemon) start() error {
	d.t.Helper()
	out, write, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	defer out.Close()
	d.died, d.logs, d.code = make(chan struct{}), &bytes.Buffer{}, -1
	command := append([]string{program, "serve", "--data", d.data, "--listen", d.address, "--open-registration"}, d.options...)
	if d.judge == nil {
		d.run(command, write)
	} else {
		d.trace(command, write)
	}
	_ = write.Close()
	_ = out.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(out).ReadString('\n')
	if want := "posthornd: ready on " + d.url() + "\n"; err != nil || line != want {
		d.kill()
		return fmt.Errorf("not ready: %q, %v, exit %d: %s", line, err, d.code, d.logs)
	}
	return nil
}

// run starts a plain process.
func (d *daemon) run(command []string, stdout *os.File) {
	d.t.Helper()
	process := exec.Command(command[0], command[1:]...)
	process.Env = append(os.Environ(), d.env...)
	process.Stdout, process.Stderr = stdout, d.logs
	if err := process.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.pid.Store(int64(process.Process.Pid))
	go func() {
		_ = process.Wait()
		d.pid.Store(0)
		d.code = process.ProcessState.ExitCode()
		close(d.died)
	}()
}

// trace starts a process under the tracer.
func (d *daemon) trace(command []string, stdout *os.File) {
	d.t.Helper()
	in, stderr, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		_, _ = d.logs.ReadFrom(in)
		_ = in.Close()
	})
	r := &tracer{folder: d.data, judge: d.judge}
	begun := make(chan error, 1)
	go func() {
		d.code = r.run(command, []uintptr{0, stdout.Fd(), stderr.Fd()}, func(pid int, err error) {
			d.pid.Store(int64(pid))
			_ = stderr.Close()
			begun <- err
		})
		reading.Wait()
		close(d.died)
	}()
	if err := <-begun; err != nil {
		d.t.Fatalf("not traced: %v", err)
	}
}

// dead reports whether the present life has ended, or ends: a process that dies
// needs a while for it.
func (d *daemon) dead() bool {
	select {
	case <-d.died:
		return true
	case <-time.After(patience):
		return false
	}
}

// frozen reports whether the server has stopped writing and says so, and not
// ended, or is just ending.
func (d *daemon) frozen() bool {
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		select {
		case <-d.died:
			return false
		default:
		}
		if d.health() == http.StatusServiceUnavailable {
			return true
		}
	}
	return true
}

// kill ends the life without a warning.
func (d *daemon) kill() {
	select {
	case <-d.died:
		return
	default:
	}
	d.signal(syscall.SIGKILL)
	<-d.died
}

// halt stops the process, if there is one, and returns when none of its threads
// runs any more. A stop takes effect thread by thread: on a busy machine one could
// still learn of a sync that the fault after this call made meaningless, and tell
// a client that its envelope is safe.
func (d *daemon) halt() {
	d.signal(syscall.SIGSTOP)
	for end := time.Now().Add(patience); !d.halted(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			d.t.Errorf("the server does not stand still")
			return
		}
	}
}

// halted reports whether every thread is stopped, traced, or gone.
func (d *daemon) halted() bool {
	states, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", d.pid.Load()))
	for _, path := range states {
		stat, err := os.ReadFile(path)
		after := bytes.LastIndexByte(stat, ')') // the name before it may hold anything
		if err == nil && after+2 < len(stat) && !bytes.ContainsRune([]byte("TtZX"), rune(stat[after+2])) {
			return false
		}
	}
	return true
}

// signal sends a signal to the process, if there is one.
func (d *daemon) signal(s syscall.Signal) {
	if pid := int(d.pid.Load()); pid != 0 {
		_ = syscall.Kill(pid, s)
	}
}

// stop asks the server to end, waits, and returns its exit code.
func (d *daemon) stop() int {
	d.t.Helper()
	select {
	case <-d.died:
		return d.code
	default:
	}
	d.signal(syscall.SIGTERM)
	select {
	case <-d.died:
	case <-time.After(patience):
		d.kill()
		d.t.Error("the server did not stop when it was asked to")
	}
	return d.code
}

// health is the answer to a health check, 0 for none.
func (d *daemon) health() int {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	answer, err := client.Get(d.url() + "/healthz")
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// queued is how many envelopes wait, as the server tells its operator.
func (d *daemon) queued() (int, error) {
	out, err := exec.Command(program, "status", "--data", d.data, "--json").Output()
	if err != nil {
		return 0, fmt.Errorf("posthornd status: %w%s", err, stderrOf(err))
	}
	var s struct{ Queued int }
	return s.Queued, json.Unmarshal(out, &s)
}

// check holds the folder of a stopped server against posthornd check. A store
// that was cut off while it was made is as good as none.
func (d *daemon) check(when string) {
	d.t.Helper()
	out, err := exec.Command(program, "check", "--data", d.data, "--json").Output()
	if err == nil {
		return
	}
	_, missing := os.Stat(filepath.Join(d.data, "store"))
	if missing != nil || strings.Contains(stderrOf(err), "no store in this folder") || strings.Contains(stderrOf(err), "cut off while it was made") {
		return
	}
	d.t.Errorf("%s: posthornd check: %v: %s%s", when, err, strings.TrimSpace(string(out)), stderrOf(err))
}

func stderrOf(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return " " + strings.TrimSpace(string(exit.Stderr))
	}
	return ""
}
