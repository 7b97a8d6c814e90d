package main

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestInterruptedCommandsSayWhatIsKnown: an operator who interrupts a command
// that changes something is told that it may have been done, and a script does
// not go on as if it had.
func TestInterruptedCommandsSayWhatIsKnown(t *testing.T) {
	data := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(data, "admin.sock")) // and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for arguments, says := range map[string]string{
		"user delete alice":  "what it did is unknown",
		"invite create":      "what it did is unknown",
		"user list --json":   "nothing was changed",
		"status":             "nothing was changed",
		"backup there":       "interrupted",
		"migrate --to p://x": "",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		interrupt := time.AfterFunc(300*time.Millisecond, cancel)
		complaint := &strings.Builder{}
		args := append(strings.Fields(arguments), "--data", data)
		if args[1] == "there" {
			args[1] = filepath.Join(t.TempDir(), "there")
		}
		code := run(ctx, &app{stdout: io.Discard, stderr: complaint}, args)
		interrupt.Stop()
		if code == exitOK || !strings.Contains(complaint.String(), says) || !strings.Contains(complaint.String(), "hint: ") {
			t.Errorf("%s: exit %d, %q", arguments, code, complaint)
		}
	}
}
