package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/posthorn/posthorn/internal/machine"
)

// saveAllCommand saves every attachment of somebody in a folder:
// saveall NAME FOLDER.
func saveAllCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: saveall NAME FOLDER")
	}
	ts.Check(asPerson(ts, args[0], []string{"attachment", "list", "--json"}))
	for _, id := range idsIn(ts.ReadFile("stdout")) {
		ts.Check(asPerson(ts, args[0], []string{"attachment", "save", id, ts.MkAbs(args[1])}))
	}
}

// idsIn are the ids of attachment list --json, each once.
func idsIn(lines string) (ids []string) {
	for line := range strings.Lines(lines) {
		var a struct{ ID string }
		if json.Unmarshal([]byte(line), &a) == nil && !slices.Contains(ids, a.ID) {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// contacts are Alice and Bob on a server, who have written to each other.
func contacts(t *testing.T, d *daemon) (alice, bob *person) {
	t.Helper()
	alice, bob = register(t, "alice", d.url()), register(t, "bob", d.url())
	alice.must("send", "@bob", "hello")
	bob.must("read")
	bob.must("send", "@alice", "hello yourself")
	alice.must("read")
	return alice, bob
}

// randomFile writes a file that cannot be guessed.
func randomFile(t *testing.T, name string, size int) (path string, data []byte) {
	t.Helper()
	data = make([]byte, size)
	seed := [32]byte{1}
	copy(seed[8:], fmt.Sprint(time.Now().UnixNano()))
	_, _ = rand.NewChaCha8(seed).Read(data)
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, data
}

// kept are the attachments in a server's folder: finished and on their way.
func (d *daemon) kept() (finished, begun []string) {
	for folder, list := range map[string]*[]string{"files": &finished, "uploads": &begun} {
		_ = filepath.WalkDir(filepath.Join(d.data, "blobs", folder), func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				*list = append(*list, path)
			}
			return nil
		})
	}
	return finished, begun
}

// TestAttachmentKilledAtManyPoints: the sender's program and the server are
// killed in the middle of an upload, the receiver's and the server in the middle
// of fetching it, again and again. What has been uploaded is not uploaded again,
// and the file arrives byte for byte.
func TestAttachmentKilledAtManyPoints(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "--rate-attachment-bytes", "24MiB:2MiB")
	alice, bob := contacts(t, d)
	path, data := randomFile(t, "film.mp4", 20<<20)
	uploaded := untilDone(t, d, func(point time.Duration) bool {
		// Killed when the message was stored already, it is sent by the next command;
		// another send would be another message.
		return alice.killedAt(point, "send", "@bob", "-a", path) ||
			strings.Contains(alice.run("read", "--all", "--sent", "--json").stdout, "film.mp4")
	})
	alice.must("read") // what was stored when the server was killed goes out
	if finished, begun := d.kept(); len(finished) != 1 || len(begun) != 0 {
		t.Errorf("the server has %d finished attachments and %d begun ones: the upload did not go on where it was", len(finished), len(begun))
	}
	bob.must("read")
	ids := idsIn(bob.must("attachment", "list", "--json"))
	if len(ids) != 1 {
		t.Fatalf("%d attachments arrived", len(ids))
	}
	folder := t.TempDir()
	fetched := untilDone(t, d, func(point time.Duration) bool {
		return bob.killedAt(point, "attachment", "save", ids[0], folder)
	})
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) == 0 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	for _, e := range entries { // a second one, if the program was killed when all was done
		if got, err := os.ReadFile(filepath.Join(folder, e.Name())); err != nil || !bytes.Equal(got, data) || !strings.HasPrefix(e.Name(), "film") {
			t.Errorf("%s: %d bytes of %d, or others, %v", e.Name(), len(got), len(data), err)
		}
	}
	t.Logf("killed %d times on the way up and %d on the way down", uploaded, fetched)
	if uploaded < 3 || fetched < 3 {
		t.Error("too few of them were killed in time")
	}
}

// untilDone runs a command that is killed after a while, every third time with
// the server, until it succeeds.
func untilDone(t *testing.T, d *daemon, try func(point time.Duration) bool) (killed int) {
	t.Helper()
	for point := 150 * time.Millisecond; killed < 60; killed++ {
		if killed%3 == 2 {
			ended := make(chan struct{})
			timer := time.AfterFunc(point*2/3, func() { d.kill(); close(ended) })
			done := try(point)
			if !timer.Stop() {
				<-ended
			}
			d.kill()
			d.start()
			if done {
				return killed
			}
		} else if try(point) {
			return killed
		}
		if killed > 20 {
			point += point / 4 // a slow machine gets there as well
		}
	}
	t.Fatal("it never succeeded")
	return 0
}

// TestTamperedAttachmentIsNotSaved: somebody with the server's disk changes one
// bit of an attachment, swaps two, or cuts one short.
func TestTamperedAttachmentIsNotSaved(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	alice, bob := contacts(t, d)
	path, _ := randomFile(t, "plan.pdf", 300_000)
	other, _ := randomFile(t, "other.pdf", 300_000)
	alice.must("send", "@bob", "-a", path, "-a", other)
	bob.must("read")
	finished, _ := d.kept()
	if len(finished) != 2 {
		t.Fatalf("%d attachments on the disk", len(finished))
	}
	originals := make([][]byte, 2)
	for i, name := range finished {
		var err error
		if originals[i], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	flipped := bytes.Clone(originals[0])
	flipped[len(flipped)/2] ^= 4
	for what, bad := range map[string][]byte{"flipped": flipped, "swapped": originals[1], "cut": originals[0][:200_000], "empty": nil} {
		if err := os.WriteFile(finished[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		r := bob.run("attachment", "save", filepath.Base(finished[0]), folder)
		if r.code != 4 || r.stdout != "" || !strings.Contains(r.stderr, "is not what was sent to you, nothing was saved") {
			t.Errorf("%s: exit %d, %q, %s", what, r.code, r.stdout, r.stderr)
		}
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != 0 {
			t.Errorf("%s: the folder has %v, %v", what, entries, err)
		}
	}
	if err := os.WriteFile(finished[0], originals[0], 0o600); err != nil {
		t.Fatal(err)
	}
	bob.must("attachment", "save", filepath.Base(finished[0]), t.TempDir())
}

// TestAttachmentLimits: a file that is too large and an account whose room is
// used up are told so, and nothing is sent.
func TestAttachmentLimits(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "--attachment-size", "64KiB", "--attachment-quota", "150KiB")
	alice, bob := contacts(t, d)
	large, _ := randomFile(t, "large.bin", 80<<10)
	fits, _ := randomFile(t, "fits.bin", 64<<10)
	if r := alice.run("send", "@bob", "-a", large); r.code != 1 || !strings.Contains(r.stderr, "larger than the server takes, nothing was sent") {
		t.Errorf("too large: exit %d, %s", r.code, r.stderr)
	}
	alice.must("send", "@bob", "-a", fits)
	alice.must("send", "@bob", "-a", fits)
	if r := alice.run("send", "@bob", "-a", fits); r.code != 5 || !strings.Contains(r.stderr, "room for attachments on the server is used up, nothing was sent") {
		t.Errorf("no room: exit %d, %s", r.code, r.stderr)
	}
	if ids := idsIn(bob.must("read") + bob.must("attachment", "list", "--json")); len(ids) != 2 {
		t.Errorf("%d attachments arrived", len(ids))
	}
}

// TestAttachmentTakesLittleMemory measures the greatest resident memory of each
// program while a file goes through all of them. The size can be raised:
// POSTHORN_TEST_ATTACHMENT_MIB=1024.
func TestAttachmentTakesLittleMemory(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		machine.Lacks(t, "Linux, whose /proc tells the memory of a process")
	}
	size := 64
	if text := os.Getenv("POSTHORN_TEST_ATTACHMENT_MIB"); text != "" {
		if _, err := fmt.Sscan(text, &size); err != nil {
			t.Fatal(err)
		}
	}
	d := startDaemon(t, "--attachment-size", "1GiB", "--rate-attachment-bytes", "1GiB:1GiB")
	alice, bob := contacts(t, d)
	path := filepath.Join(t.TempDir(), "film.mp4")
	if f, err := os.Create(path); err != nil || f.Truncate(int64(size)<<20) != nil || f.Close() != nil {
		t.Fatal(err)
	}
	measure := func(p *person, args ...string) string {
		out := &bytes.Buffer{}
		cmd := p.command(t.Context(), args...)
		cmd.Stdout = out
		began := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		most := peakUntilEnd(cmd)
		if !cmd.ProcessState.Success() {
			t.Fatalf("%v: %v", args, cmd.ProcessState)
		}
		t.Logf("posthorn %s: %v, %d MiB resident at most", args[0], time.Since(began).Round(time.Millisecond), most>>20)
		if most > 96<<20 {
			t.Errorf("posthorn %s took %d MiB of memory", args[0], most>>20)
		}
		return out.String()
	}
	measure(alice, "send", "@bob", "-a", path)
	bob.must("read")
	id := idsIn(bob.must("attachment", "list", "--json"))[0]
	saved := strings.TrimSpace(measure(bob, "attachment", "save", id, t.TempDir()))
	if there, err := os.Stat(saved); err != nil || there.Size() != int64(size)<<20 {
		t.Errorf("%v, %v", there, err)
	}
	most := peak(d.process.Process.Pid)
	t.Logf("posthornd: %d MiB resident at most", most>>20)
	if most > 256<<20 {
		t.Errorf("posthornd took %d MiB of memory", most>>20)
	}
}

// peakUntilEnd looks at a process until it has ended. What the system says of
// it afterwards counts the memory of whoever started it as well.
func peakUntilEnd(cmd *exec.Cmd) (most int64) {
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for {
		select {
		case <-ended:
			return most
		case <-time.After(2 * time.Millisecond):
			most = max(most, peak(cmd.Process.Pid))
		}
	}
}

// peak is the greatest resident memory of a process so far, in bytes.
func peak(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	return 0
}

// TestA49NothingIsFetchedUnasked: a message with files makes no device fetch
// anything, neither the files nor what a text in it points to.
func TestA49NothingIsFetchedUnasked(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	wire, url := record(t, d.url())
	alice, bob := register(t, "alice", url), register(t, "bob", url)
	path, _ := randomFile(t, "plan.html", 3000)
	alice.must("send", "@bob", "-a", path, url+"/look?at=this ![x]("+url+"/image.png)")
	before := wire.others.Load()
	bob.must("read")
	bob.must("read", "--all", "--json")
	id := idsIn(bob.must("attachment", "list", "--json"))[0]
	if wire.fetched.Load() != 0 || wire.others.Load() != before {
		t.Errorf("%d fetches and %d requests for pages", wire.fetched.Load(), wire.others.Load()-before)
	}
	bob.must("attachment", "save", id, t.TempDir())
	if wire.fetched.Load() == 0 {
		t.Error("the count does not see a fetch")
	}
}
