package e2e

import (
	"bufio"
	"context"
	"os"
	"strings"
	"testing"
)

// TestWhoFollowsIsToldAtOnce: a code to compare is shown while the program that
// waits for messages runs, and not when it ends.
func TestWhoFollowsIsToldAtOnce(t *testing.T) {
	t.Parallel()
	server := startDaemon(t)
	alice, bob := register(t, "alice", server.url()), register(t, "bob", server.url())
	alice.must("send", "@bob", "hello")
	bob.must("send", "@alice", "hello")
	alice.must("read")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	follow := bob.command(ctx, "read", "--follow")
	told, err := follow.StderrPipe()
	if err == nil {
		err = follow.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	shown := make(chan bool, 1)
	go func() {
		defer close(shown)
		for lines := bufio.NewScanner(told); lines.Scan(); {
			if strings.Contains(lines.Text(), "@alice compares codes with you") {
				shown <- true
				return
			}
		}
	}()
	for code := ""; !strings.Contains(code, `"short_code":"`); { // until bob's program has connected
		if ctx.Err() != nil {
			t.Fatalf("no live comparison within %v", patience)
		}
		code = alice.must("verify", "@bob", "--wait", "1m", "--json")
	}
	if !<-shown {
		t.Error("the code was not shown while the program ran")
	}
	_ = follow.Process.Signal(os.Interrupt)
	_ = follow.Wait()
}
