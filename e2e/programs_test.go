package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/machine"
)

// patience is how long a test waits for anything that has to happen. It only ends
// what hangs: a machine with other work is many times slower than a quiet one.
const patience = 5 * time.Minute

// binaries is where TestMain puts the programs under test.
var binaries string

func TestMain(m *testing.M) {
	machine.Wide(6)
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "posthorn-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries = dir
	build := exec.Command("go", "build", "-o", dir, "../cmd/posthorn", "../cmd/posthornd", "../cmd/posthorn-demo")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// daemon is one posthornd process on a loopback port of its own, so that it can be
// killed and started again under the same address.
type daemon struct {
	t       testing.TB
	data    string
	address string
	options []string // of serve
	built   string   // the folder of its program, when not binaries
	env     []string // more of the environment
	secure  bool     // it has a certificate
	closed  bool     // accounts are made by invite only
	process *exec.Cmd
	logs    *bytes.Buffer // of all runs; complete while no process runs
}

// newDaemon prepares a server with a folder and a port of its own.
func newDaemon(t testing.TB, folder string, options ...string) *daemon {
	return &daemon{t: t, data: folder, address: machine.Address(t), options: options, logs: &bytes.Buffer{}}
}

// startDaemon runs a server with open registration.
func startDaemon(t *testing.T, options ...string) *daemon {
	t.Helper()
	d := newDaemon(t, filepath.Join(t.TempDir(), "server"), options...)
	d.start()
	t.Cleanup(d.kill)
	return d
}

func (d *daemon) url() string {
	if d.secure {
		return "https://" + d.address
	}
	return "http://" + d.address
}

// start returns once the server has printed that it is ready.
func (d *daemon) start() {
	d.t.Helper()
	args := append([]string{"serve", "--data", d.data, "--listen", d.address}, d.options...)
	if !d.closed {
		args = append(args, "--open-registration")
	}
	d.process = exec.Command(filepath.Join(cmp.Or(d.built, binaries), "posthornd"), args...)
	d.process.Env = append(os.Environ(), d.env...)
	d.process.Stderr = d.logs
	out, err := d.process.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.process.Start(); err != nil {
		d.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if want := "posthornd: ready on " + d.url() + "\n"; err != nil || line != want {
		d.kill()
		d.t.Fatalf("ready line: %q, %v\n%s", line, err, d.logs)
	}
}

// kill is the power cord: no warning, no clean-up.
func (d *daemon) kill() {
	if d.process == nil {
		return
	}
	_ = d.process.Process.Kill()
	_ = d.process.Wait()
	d.process = nil
}

// stop asks the server to end and waits for it.
func (d *daemon) stop() error {
	if err := d.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := d.process.Wait()
	d.process = nil
	return err
}

// person is one profile that is used through the posthorn program.
type person struct {
	t          *testing.T
	name       string
	home       string
	passphrase string
	built      string   // the folder of the programs, when not binaries
	env        []string // more of the environment
}

// newPerson prepares a profile with a passphrase file.
func newPerson(t *testing.T, name string) *person {
	t.Helper()
	p := &person{t: t, name: name, home: filepath.Join(t.TempDir(), name)}
	return p.withPassphrase(t, "correct horse battery staple")
}

// withPassphrase is the same profile with another passphrase.
func (p person) withPassphrase(t *testing.T, passphrase string) *person {
	t.Helper()
	p.passphrase = filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(p.passphrase, []byte(passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &p
}

// cheapKDF keeps Argon2id from being most of what these tests do: the profile
// records its cost, and the programs go by that.
var cheapKDF = localdb.KDF{MemoryKiB: 8, Time: 1, Threads: 1}

// register makes a profile with a cheap passphrase and registers it. The
// stories register with the program itself.
func register(t *testing.T, name, url string) *person {
	t.Helper()
	p := newPerson(t, name)
	cfg := client.Config{
		Home: p.home, KDF: cheapKDF,
		Passphrase: func(bool) ([]byte, error) { return []byte("correct horse battery staple"), nil },
	}
	c, err := client.Register(t.Context(), cfg, account.Name(name), url)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

// result is what a finished command left behind.
type result struct {
	stdout, stderr string
	code           int
}

// command prepares a posthorn process for this profile.
func (p *person) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(cmp.Or(p.built, binaries), "posthorn"), append([]string{"--home", p.home}, args...)...)
	cmd.Env = p.environment()
	return cmd
}

func (p *person) environment() []string {
	return append(append(os.Environ(), "POSTHORN_PASSPHRASE_FILE="+p.passphrase), p.env...)
}

// run runs a command to its end.
func (p *person) run(args ...string) result { return p.feed("", args...) }

// feed is run with standard input.
func (p *person) feed(stdin string, args ...string) result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	cmd := p.command(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("%v: %v", args, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must is run for commands that have to succeed.
func (p *person) must(args ...string) string {
	p.t.Helper()
	r := p.run(args...)
	if r.code != 0 {
		p.t.Fatalf("posthorn %s: exit %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// texts counts what p has from a sender, by text.
func (p *person) texts(sender *person) map[string]int {
	p.t.Helper()
	seen := map[string]int{}
	for line := range strings.Lines(p.must("read", "@"+sender.name, "--all", "--json")) {
		var m struct{ From, Text string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			p.t.Fatalf("read --json printed %q: %v", line, err)
		}
		if m.From == sender.name {
			seen[m.Text]++
		}
	}
	return seen
}
