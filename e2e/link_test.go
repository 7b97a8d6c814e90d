package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/posthorn/posthorn/internal/machine"
)

// linkedCommand lets a new profile onto the account of an old one, as two
// people with two machines would, but for the typing.
func linkedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: linked NEW OLD")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	home := func(name string) []string { return []string{"--home", ts.MkAbs(name), "device"} }
	waiting := exec.CommandContext(ctx, "posthorn", append(home(args[0]), "link", "--server", ts.Getenv("SERVER"), "--name", args[0], "--json")...)
	waiting.Path, waiting.Err = posthornPath(ts)
	waiting.Env = []string{"HOME=" + ts.Getenv("HOME"), "POSTHORN_PASSPHRASE_FILE=" + ts.Getenv("POSTHORN_PASSPHRASE_FILE")}
	code, rest, err := startLink(waiting)
	ts.Check(err)
	approved := ts.Exec("posthorn", append(home(args[1]), "approve", code, "--json")...)
	told, err := io.ReadAll(rest)
	if err = errors.Join(approved, err, waiting.Wait()); err != nil {
		ts.Fatalf("linking: %v", err)
	}
	if !strings.Contains(string(told), `"state":"linked"`) || !strings.Contains(string(told), `"finished":true`) {
		ts.Fatalf("the new device says %s", told)
	}
}

// posthornPath is where the built program is.
func posthornPath(*testscript.TestScript) (string, error) {
	return exec.LookPath(binaries + "/posthorn")
}

// startLink starts a new device and reads its code.
func startLink(cmd *exec.Cmd) (code string, rest io.Reader, err error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	reader := bufio.NewReader(out)
	line, err := reader.ReadString('\n')
	var first struct{ Schema, State, Code string }
	if err == nil {
		err = json.Unmarshal([]byte(line), &first)
	}
	if err == nil && (first.Schema != "posthorn.device-link/1" || first.State != "waiting" || len(first.Code) != 35) {
		err = errors.New("not a code: " + line)
	}
	return first.Code, reader, err
}

// TestLinkKilledAtRandomPoints: either program dies somewhere while a device is
// linked. The device is on the account and works, or it is not, and the same two
// commands finish it. Five devices come to each account.
func TestLinkKilledAtRandomPoints(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	server := startDaemon(t)
	for n := range machine.Count(1, 2, 5) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			linksKilled(t, server, n, rand.New(rand.NewPCG(seed, uint64(n))))
		})
	}
}

func linksKilled(t *testing.T, server *daemon, n int, random *rand.Rand) {
	alice, bob := register(t, fmt.Sprint("alice", n), server.url()), register(t, fmt.Sprint("bob", n), server.url())
	for _, text := range []string{"one", "two", "three"} {
		bob.must("send", "@"+alice.name, text)
	}
	alice.must("read")
	for i := range 5 {
		laptop := newPerson(t, "laptop")
		limit := time.Duration(random.Int64N(int64(1500 * time.Millisecond)))
		linkOnce(t, server, laptop, alice, &limit, (i+n)%2 == 0)
		for try := 0; !opens(laptop); try++ {
			if try == 5 {
				t.Fatalf("point %d (%v): not linked after %d tries", i, limit, try)
			}
			linkOnce(t, server, laptop, alice, nil, false)
		}
		for range 3 {
			alice.must("read")
			laptop.must("read")
		}
		if got := laptop.texts(bob); len(got) != 3 {
			t.Fatalf("point %d (%v): %d texts of the history arrived", i, limit, len(got))
		}
	}
}

// opens reports whether a profile is a device of an account.
func opens(p *person) bool { return p.run("status").code == 0 }

// linkOnce runs both commands, and kills one of them after a time.
func linkOnce(t *testing.T, server *daemon, laptop, old *person, limit *time.Duration, killNew bool) {
	t.Helper()
	bound := patience
	if limit != nil {
		bound = time.Minute // whoever waits for the dead one
	}
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	newCtx, oldCtx := ctx, ctx
	if limit != nil {
		cut, end := context.WithTimeout(ctx, *limit)
		defer end()
		if killNew {
			newCtx = cut
		} else {
			oldCtx = cut
		}
	}
	cmd := laptop.command(newCtx, "device", "link", "--server", server.url(), "--json")
	code, rest, err := startLink(cmd)
	if err == nil {
		approve := old.command(oldCtx, "device", "approve", code)
		if approve.Start() == nil {
			_ = approve.Wait()
		}
		if !killNew && limit != nil {
			end := time.AfterFunc(3*time.Second, cancel) // it waits for somebody who is dead
			defer end.Stop()
		}
		_, _ = io.Copy(io.Discard, rest)
	}
	if cmd.Process != nil {
		_ = cmd.Wait()
	}
}
