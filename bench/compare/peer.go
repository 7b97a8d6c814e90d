//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// task is what every server is asked to do in one round.
type task struct {
	connections int // senders
	receivers   int
	calls       int // messages of each sender
	ahead       int // of them, how many are under way before the first is answered; 1: one after the other's answer
	body        int // bytes
	online      bool
}

func (k task) messages() int { return k.connections * k.calls }

// pipelined writes n messages, with so many under way before the first of them is
// answered, and as many in one write as may go at once.
func pipelined(conn net.Conn, n, ahead int, message func(i int) []byte, answer func() error) error {
	var out []byte
	for sent, done := 0, 0; done < n; done++ {
		for ; sent < min(n, done+ahead); sent++ {
			out = append(out, message(sent)...)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		if len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		if err := answer(); err != nil {
			return err
		}
	}
	return nil
}

// result is one server's round.
type result struct {
	perSecond float64
	arrived   int
}

// configuration writes a program's settings into a folder and says how to run it.
type configuration func(folder, port string) (program string, args []string, err error)

// withPeer runs f while a freshly configured program listens.
func withPeer(ctx context.Context, as string, configure configuration, f func(address string) error) error {
	folder, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	address, port, err := freeAddress()
	if err != nil {
		return err
	}
	program, args, err := configure(folder, port)
	if err = errors.Join(err, os.MkdirAll(filepath.Join(folder, "spool"), 0o755), os.Chmod(folder, 0o755)); err != nil {
		return err
	}
	server, err := start(as, folder, program, args...)
	if err != nil {
		return err
	}
	defer server.stop()
	if err := server.reachable(ctx, address); err != nil {
		return err
	}
	return f(address)
}

// process is a server program that runs in a folder of its own.
type process struct {
	cmd    *exec.Cmd
	folder string
}

// start runs a program until stop. as is the system user that the program
// wants to be, where this process may become somebody else.
func start(as, folder, program string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(folder, "output.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, log, log
	cmd.Env = append(os.Environ(), "HOME="+folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 && as != "" {
		if cmd.SysProcAttr.Credential, err = credential(as); err != nil {
			return nil, err
		}
		id := cmd.SysProcAttr.Credential
		if err := filepath.Walk(folder, func(path string, _ os.FileInfo, err error) error {
			return errors.Join(err, os.Lchown(path, int(id.Uid), int(id.Gid)))
		}); err != nil {
			return nil, err
		}
	}
	return &process{cmd: cmd, folder: folder}, cmd.Start()
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// stop ends the program and whatever it has started.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() { _ = p.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-ended
}

// kill ends it as a power cut would, but for what the system has in memory.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	_ = p.cmd.Wait()
}

// readyLooks is how often a program that starts is looked at, each tenth of a
// second, before it counts as hung.
const readyLooks = 3000

// reachable waits until something listens.
func (p *process) reachable(ctx context.Context, address string) error {
	for range readyLooks {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	log, _ := os.ReadFile(filepath.Join(p.folder, "output.log"))
	return fmt.Errorf("%s does not answer:\n%s", p.cmd.Path, log)
}

// freeAddress is a loopback port that nobody has at the moment.
func freeAddress() (address string, port string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer l.Close()
	_, port, err = net.SplitHostPort(l.Addr().String())
	return l.Addr().String(), port, err
}
