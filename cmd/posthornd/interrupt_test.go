package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// silent hears commands on the socket of a folder and answers none. heard tells
// of each that has come whole.
func silent(t *testing.T, data string) (heard <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(data, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	told := make(chan struct{})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				told <- struct{}{}
			}
		}
	}()
	return told
}

// TestInterruptedCommandsSayWhatIsKnown: an operator who interrupts a command
// that changes something is told that it may have been done, and a script does
// not go on as if it had.
func TestInterruptedCommandsSayWhatIsKnown(t *testing.T) {
	data := t.TempDir()
	heard := silent(t, data)
	for arguments, says := range map[string]string{
		"user delete alice":  "what it did is unknown",
		"invite create":      "what it did is unknown",
		"user list --json":   "nothing was changed",
		"status":             "nothing was changed",
		"backup there":       "interrupted",
		"migrate --to p://x": "",
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer interrupt()
			select {
			case <-heard:
			case <-ended:
			}
		}()
		complaint := &strings.Builder{}
		args := append(strings.Fields(arguments), "--data", data)
		if args[1] == "there" {
			args[1] = filepath.Join(t.TempDir(), "there")
		}
		code := run(ctx, &app{stdout: io.Discard, stderr: complaint}, args)
		close(ended)
		<-ctx.Done()
		if code == exitOK || !strings.Contains(complaint.String(), says) || !strings.Contains(complaint.String(), "hint: ") {
			t.Errorf("%s: exit %d, %q", arguments, code, complaint)
		}
	}
}
