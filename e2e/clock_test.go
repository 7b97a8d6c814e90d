//go:build testhooks

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shifted is a server and two people whose programs go by a clock that the
// test can move.
type shifted struct {
	t          *testing.T
	offset     string // the file
	alice, bob *person
	server     *daemon
	wire       *recorder         // between Alice and the server
	secrets    map[string]string // file of each person
}

// newShifted makes Alice and Bob contacts of each other, by the machine's time.
func newShifted(t *testing.T) *shifted {
	t.Helper()
	programs := hooked.programs(t)
	s := &shifted{t: t, offset: filepath.Join(t.TempDir(), "offset"), secrets: map[string]string{}}
	s.move(0)
	d := newDaemon(t, filepath.Join(t.TempDir(), "server"))
	d.built, d.env = programs, []string{"POSTHORN_TEST_CLOCK_OFFSET=@" + s.offset}
	d.start()
	t.Cleanup(d.kill)
	s.server = d
	meet := func(name, url string) *person {
		p := newPerson(t, name)
		s.secrets[name] = filepath.Join(t.TempDir(), "secrets")
		p.built, p.env = programs, []string{"POSTHORN_TEST_CLOCK_OFFSET=@" + s.offset, "POSTHORN_TEST_SECRETS_FILE=" + s.secrets[name]}
		p.must("register", name, "--server", url)
		return p
	}
	wire, throughWire := record(t, d.url())
	s.wire = wire
	s.alice, s.bob = meet("alice", throughWire), meet("bob", d.url())
	s.alice.must("send", "@bob", "hello")
	s.bob.must("read")
	s.bob.must("send", "@alice", "hello yourself")
	s.alice.must("read")
	s.bob.must("read")
	return s
}

// move sets the clock of all programs to now and an offset, and the log follows.
func (s *shifted) move(offset time.Duration) {
	s.t.Helper()
	setOffset(s.t, s.offset, offset)
	if s.server != nil && s.server.process != nil {
		s.server.signsAnew()
	}
}

// setOffset writes the offset of a clock. Nobody sees half of it.
func setOffset(t *testing.T, file string, by time.Duration) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(by.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// signsAnew waits until the log of a server whose clock was moved has signed by
// the new time: a hooked one does so each second. The first signature that is
// new may be of just before the jump.
func (d *daemon) signsAnew() {
	d.t.Helper()
	end := time.Now().Add(patience)
	for range 2 {
		for before := d.checkpoint(); d.checkpoint() == before; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				d.t.Fatal("the log signs nothing anew")
			}
		}
	}
}

// checkpoint is what the server gives to anybody who asks for it.
func (d *daemon) checkpoint() string {
	d.t.Helper()
	answer, err := http.Get(d.url() + "/kt/roots/checkpoint")
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %v", answer.Status, err)
	}
	return string(text)
}

// shown is what session show --json says about the one device of a contact.
type shown struct {
	Epoch     int       `json:"epoch"`
	KEMRekeys int       `json:"kem_rekeys"`
	LastRekey time.Time `json:"last_rekey_at"`
	RekeyDue  time.Time `json:"rekey_due_at"`
}

func (s *shifted) session(p *person, with string) shown {
	s.t.Helper()
	var view struct{ Devices []shown }
	text := p.must("session", "show", "@"+with, "--json")
	if err := json.Unmarshal([]byte(text), &view); err != nil || len(view.Devices) != 1 {
		s.t.Fatalf("session show: %v\n%s", err, text)
	}
	return view.Devices[0]
}

// near reports whether a time is within some minutes of now and an offset.
func near(at time.Time, offset time.Duration) bool {
	return time.Until(at.Add(-offset)).Abs() < 20*time.Minute
}

// TestClockRekeyAfterADay: 26 hours on, a rekey is overdue, the next exchanges
// complete one, and session show says so.
func TestClockRekeyAfterADay(t *testing.T) {
	t.Parallel()
	s := newShifted(t)
	before := s.session(s.alice, "bob")
	if before.RekeyDue.Before(time.Now()) || near(before.LastRekey, 26*time.Hour) {
		t.Fatalf("before: %+v", before)
	}
	s.move(26 * time.Hour)
	for range 3 {
		s.alice.must("read")
		s.bob.must("read")
	}
	after := s.session(s.alice, "bob")
	if after.KEMRekeys <= before.KEMRekeys || !near(after.LastRekey, 26*time.Hour) || !near(after.RekeyDue, 50*time.Hour) {
		t.Errorf("26 hours on: %+v, before %+v", after, before)
	}
	if after.Epoch <= before.Epoch {
		t.Error("a day is no reason for a new session")
	}
}

// TestClockJumpIsNoticed: a client that is online when the clock jumps sends
// its heartbeat by itself.
func TestClockJumpIsNoticed(t *testing.T) {
	t.Parallel()
	s := newShifted(t)
	follow := s.bob.command(t.Context(), "read", "--follow")
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = follow.Process.Kill()
		_ = follow.Wait()
	}()
	awaitQuiet(t, s.secrets["bob"])
	keys := func() int { return countKinds(readSecrets(t, s.secrets["bob"]))["message key"] }
	before := keys()
	s.move(26 * time.Hour)
	for end := time.Now().Add(patience); keys() == before; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no heartbeat within %v of the jump", patience)
		}
	}
}

// TestClockNewSessionAfterAWeek: eight days on, bundles are replaced, and what
// is sent starts a new session, because the hard limit forbids the old one.
func TestClockNewSessionAfterAWeek(t *testing.T) {
	t.Parallel()
	s := newShifted(t)
	prekeys := func(name string) int { return countKinds(readSecrets(t, s.secrets[name]))["prekey kem"] }
	for range 2 { // so that a new session has a smaller epoch for long enough
		s.alice.must("send", "@bob", "ping")
		s.bob.must("read")
		s.bob.must("send", "@alice", "pong")
		s.alice.must("read")
	}
	before, made := s.session(s.alice, "bob"), prekeys("bob")
	s.move(8 * 24 * time.Hour)
	s.bob.must("read")
	if now := prekeys("bob"); now != made+1 {
		t.Errorf("%d prekeys after eight days, %d before", now, made)
	}
	s.alice.must("send", "@bob", "after a holiday")
	if got := s.bob.texts(s.alice); got["after a holiday"] != 1 {
		t.Errorf("texts %v", got)
	}
	if after := s.session(s.alice, "bob"); after.Epoch >= before.Epoch {
		t.Errorf("the session goes on: %+v, before %+v", after, before)
	}
}

// TestHooksRecordEverySecret: a conversation leaves each kind of secret in the
// files of those who made it.
func TestHooksRecordEverySecret(t *testing.T) {
	t.Parallel()
	s := newShifted(t)
	wanted := []string{
		"identity ecdsa", "identity mldsa", "prekey ecdh", "prekey kem", "master key", "wrapping key", "row key", "page key",
		"root key", "chain key", "message key", "ratchet key", "KEM seed",
	}
	var all []created
	for name, file := range s.secrets {
		own := readSecrets(t, file)
		if kinds := countKinds(own); kinds["message key"] < 3 || kinds["root key"] < 2 {
			t.Errorf("%s: only %v", name, kinds)
		}
		all = append(all, own...)
	}
	kinds := countKinds(all)
	for _, kind := range wanted {
		if kinds[kind] == 0 {
			t.Errorf("no %s among %v", kind, kinds)
		}
	}
	for _, c := range all {
		if size := len(c.bytes); size != 32 && size != 64 {
			t.Errorf("a %s of %d bytes", c.Kind, size)
		}
		if !near(c.At, 0) {
			t.Errorf("a %s made at %v", c.Kind, c.At)
		}
	}
	if info, err := os.Stat(s.secrets["alice"]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secrets file: %v, %v", info, err)
	}
}

// TestClockOfTheServerJumps: a server whose clock goes ten years ahead and back,
// running and across restarts, deletes no unread mail and loses none that it has
// accepted. While its clock is wrong its log is signed at a time that clients do
// not believe, so they send nothing; once it is right they do. This is attack A40
// with the real program.
func TestClockOfTheServerJumps(t *testing.T) {
	t.Parallel()
	offset := filepath.Join(t.TempDir(), "offset")
	setOffset(t, offset, 0)
	d := newDaemon(t, filepath.Join(t.TempDir(), "server"))
	d.built, d.env = hooked.programs(t), []string{"POSTHORN_TEST_CLOCK_OFFSET=@" + offset}
	d.start()
	t.Cleanup(d.kill)
	alice, bob := register(t, "alice", d.url()), register(t, "bob", d.url())
	alice.must("send", "@bob", "before any of it")
	const tenYears = 10 * 365 * 24 * time.Hour
	jumps := []time.Duration{tenYears, 0, -tenYears, tenYears, 0, -2 * tenYears, 0}
	sent := 1
	for i, by := range jumps {
		setOffset(t, offset, by)
		time.Sleep(2500 * time.Millisecond) // a hooked server sweeps every second
		r := alice.run("send", "@bob", fmt.Sprint("after jump ", i))
		for end := time.Now().Add(patience); by == 0 && r.code == 4 && time.Now().Before(end); {
			time.Sleep(500 * time.Millisecond) // until the log is signed anew
			r = alice.run("send", "@bob", fmt.Sprint("after jump ", i))
		}
		switch {
		case r.code == 0:
			sent++
		case by == 0 || r.code != 4 || !strings.Contains(r.stderr, "V-184"):
			t.Fatalf("jump %d by %v: exit %d\n%s", i, by, r.code, r.stderr)
		}
		if i%2 == 1 {
			d.kill()
			d.start()
		}
	}
	texts := bob.texts(alice)
	if texts["before any of it"] != 1 || len(texts) != sent || sent < 4 {
		t.Errorf("bob has %v", texts)
	}
	if said := bob.must("read"); strings.Contains(said, "too old") {
		t.Errorf("something expired: %s", said)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if logs := d.logs.String(); !strings.Contains(logs, "the clock jumped") || strings.Contains(logs, "panic") {
		t.Errorf("log:\n%s", logs)
	}
}
