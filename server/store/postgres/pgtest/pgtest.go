//go:build unix

// Package pgtest starts private PostgreSQL servers for tests: a folder under
// the temporary one, a socket in it, no port unless asked for, data checksums
// on. A package shares one server, and each test has a database of its own in
// it; a test that breaks servers starts its own.
//
// The package is for tests alone.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/internal/machine"
)

// program finds a program of PostgreSQL, or ends the test. Debian keeps them
// out of the path.
func program(t testing.TB, name string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.SortFunc(found, func(a, b string) int { return len(a) - len(b) })
	if len(found) > 0 {
		return found[len(found)-1]
	}
	return machine.Tool(t, name, "postgresql")
}

// shared is the server of a test binary.
var shared struct {
	sync.Mutex
	cluster *Cluster
	made    atomic.Int64
}

// Run runs the tests of a package and ends the shared server after them. Call
// it from TestMain.
func Run(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster != nil {
		shared.cluster.Kill()
		shared.cluster.remove()
	}
	return code
}

// Database makes an empty database on the shared server and returns its URL.
func Database(t testing.TB) string {
	t.Helper()
	shared.Lock()
	if shared.cluster == nil {
		shared.cluster = start(t, newFolder(t), 5432, nil)
	}
	c := shared.cluster
	shared.Unlock()
	return c.Database(t)
}

// Cluster is one server with its folder.
type Cluster struct {
	folder  string
	port    int
	options []string
	address string // of NewOnLoopback
	process *exec.Cmd
	ended   chan struct{}
}

// New starts a server for one test. Options are settings such as "fsync=off".
func New(t testing.TB, options ...string) *Cluster {
	t.Helper()
	return begin(t, 5432, options)
}

// NewOnLoopback is New with a TCP port on a loopback address beside the socket,
// so that a network can be put in between. See Address.
func NewOnLoopback(t testing.TB, options ...string) *Cluster {
	t.Helper()
	address := machine.Address(t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	c := begin(t, number, append([]string{"listen_addresses=" + host}, options...))
	c.address = address
	return c
}

func begin(t testing.TB, port int, options []string) *Cluster {
	t.Helper()
	c := start(t, newFolder(t), port, options)
	t.Cleanup(func() {
		c.Kill()
		c.remove()
	})
	return c
}

// newFolder makes a folder that the user of the database can reach, which a
// folder of testing.T is not when the tests run as root.
func newFolder(t testing.TB) string {
	t.Helper()
	program(t, "initdb")
	folder, err := os.MkdirTemp("", "posthorn-pg-")
	if err != nil {
		t.Fatal(err)
	}
	if id := whoever(); id != nil {
		if err := os.Chown(folder, int(id.Uid), int(id.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// whoever is the user to run PostgreSQL as, which refuses root. Nil: as we are.
func whoever() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil
}

func start(t testing.TB, folder string, port int, options []string) *Cluster {
	t.Helper()
	c := &Cluster{folder: folder, port: port, options: options}
	run(t, "initdb", "-D", c.data(), "-U", "posthorn", "--auth=trust", "--data-checksums", "--no-sync", "--encoding=UTF8", "--locale=C")
	c.Start(t)
	return c
}

// Standby makes a standby of the server that asks for synchronous commits
// under a name, and starts it.
func (c *Cluster) Standby(t testing.TB, name string) *Cluster {
	t.Helper()
	s := &Cluster{folder: newFolder(t), port: 5432, options: []string{"hot_standby=on"}}
	run(t, "pg_basebackup", "-h", c.folder, "-p", strconv.Itoa(c.port), "-U", "posthorn", "-D", s.data(), "--checkpoint=fast", "--write-recovery-conf", "--wal-method=stream", "--no-sync",
		"-d", "application_name="+name)
	s.Start(t)
	t.Cleanup(func() {
		s.Kill()
		s.remove()
	})
	return s
}

func (c *Cluster) data() string { return filepath.Join(c.folder, "data") }

// run runs one of PostgreSQL's programs to its end.
func run(t testing.TB, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
	cmd.SysProcAttr = process(whoever())
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Start starts a stopped server and waits until it answers.
func (c *Cluster) Start(t testing.TB) {
	t.Helper()
	args := []string{"-D", c.data(), "-k", c.folder, "-p", strconv.Itoa(c.port)}
	for _, o := range append([]string{"listen_addresses=", "max_connections=100", "shared_buffers=64MB", "log_min_messages=warning"}, c.options...) {
		args = append(args, "-c", o)
	}
	deadline := time.Now().Add(5 * time.Minute)
	for {
		c.launch(t, args)
		for !c.hasEnded() {
			if c.answers() {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("PostgreSQL does not answer; see %s", filepath.Join(c.folder, "log"))
			}
			time.Sleep(20 * time.Millisecond)
		}
		if time.Now().After(deadline) { // after a kill, what is left of the last one may be in the way
			log, _ := os.ReadFile(filepath.Join(c.folder, "log"))
			t.Fatalf("PostgreSQL does not start:\n%s", log)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (c *Cluster) launch(t testing.TB, args []string) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(c.folder, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(program(t, "postgres"), args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = process(whoever())
	ended := make(chan struct{})
	failed := make(chan error)
	go func() {
		hold() // the server ends with the thread that started it
		err := cmd.Start()
		failed <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(ended)
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	c.process, c.ended = cmd, ended
}

func (c *Cluster) hasEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func (c *Cluster) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return false
	}
	return conn.Close(ctx) == nil
}

// URL is the URL of a database on the server.
func (c *Cluster) URL(database string) string {
	return fmt.Sprintf("postgres:///%s?host=%s&port=%d&user=posthorn", database, c.folder, c.port)
}

// Folder is where the socket lies, the host of a URL.
func (c *Cluster) Folder() string { return c.folder }

// Address is where a server of NewOnLoopback listens on TCP, as host:port.
func (c *Cluster) Address() string { return c.address }

// PID is the process id of the server.
func (c *Cluster) PID() int { return c.process.Process.Pid }

// Database makes an empty database and returns its URL. It stays until the
// server goes: dropping one makes the server write everything out.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", shared.made.Add(1))
	c.Exec(t, "postgres", "CREATE DATABASE "+name)
	return c.URL(name)
}

// Exec runs SQL in a database.
func (c *Cluster) Exec(t testing.TB, database, sql string) {
	t.Helper()
	Exec(t, c.URL(database), sql)
}

// Exec runs SQL in the database behind a URL.
func Exec(t testing.TB, url, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(ctx, sql)
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Kill ends the server at once, as kill -9 does: nothing is written any more.
func (c *Cluster) Kill() {
	if c.process == nil || c.hasEnded() {
		return
	}
	_ = c.process.Process.Kill()
	<-c.ended
}

// Stop shuts the server down in order.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	if err := c.process.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-c.ended
}

// Promote makes a standby the primary.
func (c *Cluster) Promote(t testing.TB) {
	t.Helper()
	c.Exec(t, "postgres", "SELECT pg_promote(true, 240)")
}

// Follow makes a standby follow another primary, under a name.
func (c *Cluster) Follow(t testing.TB, primary *Cluster, name string) {
	t.Helper()
	c.Exec(t, "postgres", fmt.Sprintf("ALTER SYSTEM SET primary_conninfo = 'host=%s port=%d user=posthorn application_name=%s'", primary.folder, primary.port, name))
	c.Stop(t)
	c.Start(t)
}

// remove deletes the folder. The last processes of a killed server may still
// be writing into it for a moment.
func (c *Cluster) remove() {
	for range 500 {
		if os.RemoveAll(c.folder) == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
