//go:build unix

// Package bustest runs a real NATS server for tests: on a loopback port, ended
// by its own process id when the test ends.
package bustest

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
)

// Server is a nats-server that can be hurt.
type Server struct {
	t       testing.TB
	program string
	folder  string
	more    []string
	port    string
	run     *exec.Cmd
	ended   chan struct{} // closed when run has ended
}

// Start runs a nats-server on a free port, with more arguments if need be. The
// test is skipped where there is none.
func Start(t testing.TB, more ...string) *Server {
	t.Helper()
	s := &Server{t: t, program: machine.Tool(t, "nats-server", "nats-server"), folder: t.TempDir(), more: more, port: "-1"}
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// URL is where clients find it, also after a Restart.
func (s *Server) URL() string { return "nats://127.0.0.1:" + s.port }

// Restart runs it again after Kill, on the same port. Should somebody else have
// that just then, it is tried again.
func (s *Server) Restart() {
	s.t.Helper()
	s.launch()
	for end := time.Now().Add(3 * time.Minute); !s.answers(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal("the NATS server does not start")
		}
		if s.hasEnded() {
			s.launch()
		}
	}
}

func (s *Server) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *Server) launch() {
	s.t.Helper()
	run := exec.Command(s.program, append([]string{"-a", "127.0.0.1", "-p", s.port, "--ports_file_dir", s.folder}, s.more...)...)
	run.SysProcAttr = attributes()
	ended, failed := make(chan struct{}), make(chan error)
	go func() {
		hold() // the server ends with the thread that started it
		err := run.Start()
		failed <- err
		if err == nil {
			_ = run.Wait()
		}
		close(ended)
	}()
	if err := <-failed; err != nil {
		s.t.Fatal(err)
	}
	s.run, s.ended = run, ended
}

// answers looks for the port that this run has, and tries it.
func (s *Server) answers() bool {
	text, err := os.ReadFile(filepath.Join(s.folder, fmt.Sprintf("nats-server_%d.ports", s.run.Process.Pid)))
	if err != nil {
		return false
	}
	var ports struct {
		NATS []string `json:"nats"`
	}
	if json.Unmarshal(text, &ports) != nil || len(ports.NATS) == 0 {
		return false
	}
	s.port = ports.NATS[0][strings.LastIndexByte(ports.NATS[0], ':')+1:]
	c, err := net.DialTimeout("tcp", "127.0.0.1:"+s.port, 20*time.Second)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// Pause stops the process in its tracks, as a machine that hangs: connections
// stay open and nothing answers.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets it go on after Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// Kill ends it as a power cut would.
func (s *Server) Kill() {
	if s.run == nil {
		return
	}
	s.signal(syscall.SIGKILL)
	<-s.ended
	s.run = nil
}

func (s *Server) signal(which syscall.Signal) {
	s.t.Helper()
	if err := s.run.Process.Signal(which); err != nil {
		s.t.Error(err)
	}
}
