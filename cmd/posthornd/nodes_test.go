package main

import (
	"strings"
	"testing"
)

// The embedded store serves one process, and says so before anything is opened.
func TestNodesNeedASharedStore(t *testing.T) {
	for _, args := range [][]string{
		{"--bus", "nats://127.0.0.1:1"},
		{"--node-name", "mail-1"},
		{"--bus-credentials", "file"},
	} {
		code, out, complaint := command(t, append([]string{"serve", "--data", t.TempDir()}, args...)...)
		if code != exitUsage || out != "" || !strings.Contains(complaint, "--bus") || !strings.Contains(complaint, "hint: ") {
			t.Errorf("%q: exit %d, %q, %q", args, code, out, complaint)
		}
	}
}
