package e2e

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
)

// copyHome copies a profile as a backup does.
func copyHome(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// putBack writes an older copy over a profile, file by file in place, which the
// file system's own numbers do not give away.
func putBack(t *testing.T, copied, home string) {
	t.Helper()
	err := filepath.WalkDir(copied, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(home, entry.Name()), content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// wantAlarm runs a command that the server must turn away: exit 4, words that say why, and
// nothing sent.
func (p *person) wantAlarm(args ...string) {
	p.t.Helper()
	r := p.run(args...)
	if r.code != 4 || !strings.Contains(r.stderr, "another copy of this profile has gone on") {
		p.t.Fatalf("posthorn %s: exit %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
}

// wantReadable fails unless a copy that was turned away shows what it has received
// and sent, and whom it knows. The exit code still says that it was turned away.
func (p *person) wantReadable(text string) {
	p.t.Helper()
	if r := p.run("read", "--all", "--sent"); r.code != 4 || !strings.Contains(r.stdout, text) {
		p.t.Errorf("posthorn read --all --sent: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if r := p.run("contact", "list"); !strings.Contains(r.stdout, "@bob") {
		p.t.Errorf("posthorn contact list: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// TestTA25CopiesOfAProfile are attacks A16 and A17 and scenario T-A25: at random
// points of a conversation Alice's profile is copied, used on, and then the copy
// is put back in its place, or used beside it. Each is noticed at the first
// contact, on both sides where there are two; no two different messages ever
// leave at one position of a ratchet; and the conversation goes on.
func TestTA25CopiesOfAProfile(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	server := startDaemon(t)
	wire, url := record(t, server.url())
	alice, bob := register(t, "alice", url), register(t, "bob", url)
	points := machine.Count(6, 10, 50)
	n := 0
	talk := func() {
		for range 1 + random.IntN(2) {
			n++
			from, to := alice, bob
			if random.IntN(2) == 0 {
				from, to = bob, alice
			}
			text := fmt.Sprint("text ", n)
			from.must("send", "@"+to.name, text)
			if random.IntN(3) > 0 {
				to.must("read")
			}
		}
	}
	alice.must("send", "@bob", "the first word")
	talk()
	for point := range points {
		talk()
		copied := filepath.Join(t.TempDir(), "copy")
		copyHome(t, alice.home, copied)
		alice.must("send", "@bob", fmt.Sprint("after copy ", point))
		if point%2 == 0 {
			talk()
			putBack(t, copied, alice.home)
			alice.wantAlarm("send", "@bob", fmt.Sprint("from the copy ", point))
			alice.wantAlarm("read")
			alice.must("device", "renew")
		} else {
			clone := *alice
			clone.home = copied
			clone.wantAlarm("send", "@bob", fmt.Sprint("from the copy ", point))
			clone.wantReadable("the first word")
			r := alice.run("read")
			if r.code != 0 || !strings.Contains(r.stderr, "ALARM: an older copy") {
				t.Fatalf("point %d: the owner is not told: exit %d\n%s", point, r.code, r.stderr)
			}
		}
	}
	alice.must("send", "@bob", "the last word")
	settle([]*person{alice, bob})
	wire.checkNoKeyReuse(points)
	got := bob.texts(alice)
	for _, want := range []string{"the last word", fmt.Sprint("after copy ", points-1)} {
		if got[want] != 1 {
			t.Errorf("%q is there %d times", want, got[want])
		}
	}
}
