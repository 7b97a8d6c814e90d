//go:build testhooks && linux

package e2e

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/machine"
)

// ratcheted are the kinds of secrets that the protocol erases sooner or later
// (SPEC §6 to §8), and the keys that open a profile and are needed no more.
var ratcheted = []string{"root key", "chain key", "message key", "ratchet key", "KEM seed", "ECDH secret", "KEM secret", "master key", "wrapping key"}

// wantedGone is how many erased secrets of each process a scan must look for.
const wantedGone = 150

// TestErasedSecretsLeaveMemoryAndDisk lets two long-lived processes talk until
// each has ratcheted past at least 150 secrets, and then looks for them in the
// processes' memory and in every file of their profiles. Built with
// GOEXPERIMENT=runtimesecret there must be none. Without it the count is only
// reported: Go does not promise to overwrite memory.
func TestErasedSecretsLeaveMemoryAndDisk(t *testing.T) {
	t.Run(hooked.name, func(t *testing.T) { scanConversation(t, hooked, false) })
	t.Run(erasing.name, func(t *testing.T) { scanConversation(t, erasing, true) })
}

func scanConversation(t *testing.T, v variant, mustBeGone bool) {
	programs := v.programs(t)
	d := startDaemon(t)
	alice, bob := newTalker(t, programs, "alice", d.url()), newTalker(t, programs, "bob", d.url())
	bob.must("send", "@alice", "hello") // or Alice would be a stranger and get no receipts
	bob.start(filepath.Join(programs, "posthorn"), "--home", bob.home, "read", "--follow")
	alice.start(filepath.Join(programs, "talker"), alice.home)
	for range 16 {
		alice.say("bob 6")
	}
	awaitQuiet(t, alice.secrets, bob.secrets) // nothing is owed any more
	for _, who := range []*talker{alice, bob} {
		who.collect()
		who.scan(v, mustBeGone)
	}
}

// talker is a person whose program stays in memory.
type talker struct {
	*person
	secrets string
	process *exec.Cmd
	in      *os.File
	out     *bufio.Reader
}

// newTalker registers a profile with the programs of a variant.
func newTalker(t *testing.T, programs, name, url string) *talker {
	t.Helper()
	who := &talker{person: newPerson(t, name), secrets: filepath.Join(t.TempDir(), "secrets")}
	who.built, who.env = programs, []string{"POSTHORN_TEST_SECRETS_FILE=" + who.secrets}
	who.must("register", name, "--server", url)
	return who
}

// start runs the program that stays until the test ends.
func (w *talker) start(program string, args ...string) {
	w.t.Helper()
	w.process = exec.Command(program, args...)
	w.process.Env = w.environment()
	w.process.Stderr = os.Stderr
	in, stdin, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	w.process.Stdin, w.in = in, stdin
	out, err := w.process.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	w.out = bufio.NewReader(out)
	if err := w.process.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = w.process.Process.Kill()
		_ = w.process.Wait()
		_ = in.Close()
		_ = stdin.Close()
	})
}

// say gives the talker one line and waits for its answer.
func (w *talker) say(line string) {
	w.t.Helper()
	if _, err := fmt.Fprintln(w.in, line); err != nil {
		w.t.Fatal(err)
	}
	if answer, err := w.out.ReadString('\n'); err != nil || answer != "delivered\n" {
		w.t.Fatalf("%s: %q, %v", line, answer, err)
	}
}

// collect runs the process's garbage collector to its end.
func (w *talker) collect() {
	w.t.Helper()
	before := countKinds(readSecrets(w.t, w.secrets))["collected"]
	if err := w.process.Process.Signal(syscall.SIGUSR1); err != nil {
		w.t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if countKinds(readSecrets(w.t, w.secrets))["collected"] > before {
			return
		}
		if time.Now().After(end) {
			w.t.Fatal("the garbage collector did not run")
		}
	}
}

// scan searches for all that this profile made and keeps no more.
func (w *talker) scan(v variant, mustBeGone bool) {
	w.t.Helper()
	gone, live := w.erased()
	if len(gone) < wantedGone {
		w.t.Fatalf("%s: only %d secrets to look for", w.name, len(gone))
	}
	w.wantGone(v, mustBeGone, gone, live)
}

// wantGone stops the process, searches it and its files for secrets that are
// erased and for live ones, and lets it go on. No file may hold an erased one.
func (w *talker) wantGone(v variant, mustBeGone bool, gone []created, live [][]byte) {
	w.t.Helper()
	memory, disk, control := newHaystack(bytesOf(gone)), newHaystack(bytesOf(gone)), newHaystack(live)
	w.halt()
	inMemory, err := memory.searchProcess(w.process.Process.Pid)
	if err == nil {
		_, err = control.searchProcess(w.process.Process.Pid)
	}
	if errors.Is(err, fs.ErrPermission) {
		cannotScan(w.t)
	}
	inFiles, err2 := disk.searchFolder(w.home)
	if err := errors.Join(err, err2, w.process.Process.Signal(syscall.SIGCONT)); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("%s, %s: %d of %d erased secrets in %d MiB of memory, %d in %d KiB of files; %d of %d live ones seen",
		v.name, w.name, len(memory.found), len(gone), inMemory>>20, len(disk.found), inFiles>>10, len(control.found), len(live))
	report(w.t, gone, memory.found)
	if len(control.found) == 0 {
		w.t.Error("the scan does not see the device's own keys, so it would not see others")
	}
	if len(disk.found) > 0 {
		report(w.t, gone, disk.found)
		w.t.Error("secrets lie in the profile's files")
	}
	if mustBeGone && len(memory.found) > 0 {
		w.t.Errorf("%d erased secrets are in memory", len(memory.found))
	}
}

// bytesOf are the secrets themselves.
func bytesOf(all []created) [][]byte {
	secrets := make([][]byte, len(all))
	for i, c := range all {
		secrets[i] = c.bytes
	}
	return secrets
}

// erased lists the secrets that this profile made and keeps no more, and apart
// from them the device's own keys, which must be in memory.
func (w *talker) erased() (gone []created, live [][]byte) {
	held := w.held()
	seen := map[string]bool{}
	for _, c := range readSecrets(w.t, w.secrets) {
		switch {
		case strings.HasPrefix(c.Kind, "identity"):
			live = append(live, c.bytes)
		case !slices.Contains(ratcheted, c.Kind) || seen[c.Hex] || bytes.Contains(held, c.bytes):
		default:
			seen[c.Hex] = true
			gone = append(gone, c)
		}
	}
	return gone, live
}

// held is all key material that the profile still has a use for, read from a
// copy of it: session states, skipped keys, prekeys.
func (w *talker) held() (material []byte) {
	w.t.Helper()
	w.inCopy(func(tx *localdb.Tx) error {
		sessions, err := tx.AllSessions()
		for _, s := range sessions {
			skipped, err2 := tx.Skipped(s.Device, s.ID)
			err = errors.Join(err, err2)
			material = slices.Concat(material, s.State, skipped)
		}
		prekeys, err3 := tx.Prekeys()
		for _, p := range prekeys {
			material = append(material, p.Private...)
		}
		return errors.Join(err, err3)
	})
	if len(material) == 0 {
		w.t.Fatal("no keys at all")
	}
	return material
}

// inCopy reads a copy of the profile, taken while the process stands still.
func (w *talker) inCopy(read func(*localdb.Tx) error) {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "copy")
	w.halt()
	err := os.CopyFS(dir, os.DirFS(w.home))
	if err := errors.Join(err, w.process.Process.Signal(syscall.SIGCONT)); err != nil {
		w.t.Fatal(err)
	}
	passphrase := func(bool) ([]byte, error) { return []byte("correct horse battery staple"), nil }
	db, err := localdb.Open(dir, localdb.Unlock{Passphrase: passphrase})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := errors.Join(db.View(w.t.Context(), read), db.Close()); err != nil {
		w.t.Fatal(err)
	}
}

// halt stops the process and waits until all of its threads stand still.
func (w *talker) halt() {
	w.t.Helper()
	if err := w.process.Process.Signal(syscall.SIGSTOP); err != nil {
		w.t.Fatal(err)
	}
	for end := time.Now().Add(patience); !stopped(w.process.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatal("the process does not stop")
		}
	}
}

// stopped reports whether no thread of a process runs.
func stopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, file := range threads {
		stat, err := os.ReadFile(file)
		if _, after, ok := bytes.Cut(stat, []byte(") ")); err == nil && (!ok || after[0] != 'T') {
			return false
		}
	}
	return len(threads) > 0
}

// report lists what was found by kind and place, without the bytes.
func report(t *testing.T, secrets []created, found map[int]string) {
	t.Helper()
	places := map[string]int{}
	for i, where := range found {
		places[secrets[i].Kind+", "+strings.Join(strings.Fields(where), " ")]++
	}
	for _, p := range slices.Sorted(maps.Keys(places)) {
		t.Logf("  %d × %s", places[p], p)
	}
}

// cannotScan ends the test where the system forbids it, which CI must not do.
func cannotScan(t *testing.T) {
	t.Helper()
	machine.Lacks(t, "this system does not let a process read another one's memory (/proc/PID/mem)")
}

// TestScanFindsPlantedSecrets shows each form to the scan, in memory and in a
// file, so that it cannot pass because it looks at nothing.
func TestScanFindsPlantedSecrets(t *testing.T) {
	planted := make([][]byte, 8)
	for i := range planted {
		planted[i] = bytes.Repeat([]byte{byte(17*i + 3), byte(29*i + 5), byte(i), 0xa5}, 8)
	}
	reversed := slices.Clone(planted[3])
	slices.Reverse(reversed)
	forms := [][]byte{
		planted[0], planted[1][16:], []byte(hex.EncodeToString(planted[2])), reversed,
		masked(planted[4], 0x36), masked(planted[5], 0x5c),
		[]byte(strings.ToUpper(hex.EncodeToString(planted[6]))),
	}
	h := newHaystack(planted)
	file := filepath.Join(t.TempDir(), "file")
	text := slices.Concat(make([]byte, 1<<20-9), bytes.Join(forms, []byte{0})) // across two pieces
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.searchFolder(filepath.Dir(file)); err != nil {
		t.Fatal(err)
	}
	if len(h.found) != 7 || h.found[7] != "" {
		t.Errorf("found %v", h.found)
	}
	own := newHaystack(planted)
	if _, err := own.searchProcess(os.Getpid()); errors.Is(err, fs.ErrPermission) {
		cannotScan(t)
	} else if err != nil || len(own.found) != len(planted) {
		t.Errorf("in this process: %d of %d, %v", len(own.found), len(planted), err)
	}
}
