package liar

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/pq3"
)

// person uses posthorn through a front of her own.
type person struct {
	t          testing.TB
	name       account.Name
	home       string
	passphrase string // the file
	clock      string // the file with the offset of her clock
	front      *front
}

const passphrase = "correct horse battery staple"

// join registers somebody. The profile's passphrase is a cheap one, so that
// Argon2id is not most of what these tests do.
func (o *operator) join(name account.Name) *person {
	o.t.Helper()
	p := o.newcomer(name)
	c, err := client.Register(within(o.t), client.Config{
		Home: p.home, KDF: localdb.KDF{MemoryKiB: 8, Time: 1, Threads: 1},
		Passphrase: func(bool) ([]byte, error) { return []byte(passphrase), nil },
	}, name, p.front.url)
	if err != nil {
		o.t.Fatalf("register %s: %v", name, err)
	}
	if err := c.Close(); err != nil {
		o.t.Fatal(err)
	}
	return p
}

// acquaints are two people who have written to each other.
func (o *operator) acquaints(one, other account.Name) (a, b *person) {
	a, b = o.join(one), o.join(other)
	a.must("send", "@"+string(other), "hello")
	b.must("read")
	b.must("send", "@"+string(one), "hello yourself")
	a.must("read")
	return a, b
}

// move sets her clock to now and an offset.
func (p *person) move(offset time.Duration) {
	p.t.Helper()
	if err := os.WriteFile(p.clock, []byte(offset.String()+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// result is what a finished command left behind.
type result struct {
	stdout, stderr string
	code           int
}

// run runs a command to its end.
func (p *person) run(args ...string) result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"--home", p.home}, args...)...)
	cmd.Env = append(os.Environ(), "POSTHORN_PASSPHRASE_FILE="+p.passphrase, "POSTHORN_TEST_CLOCK_OFFSET=@"+p.clock)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("%v: %v", args, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must is run for commands that have to succeed.
func (p *person) must(args ...string) string {
	p.t.Helper()
	r := p.run(args...)
	if r.code != 0 {
		p.t.Fatalf("posthorn %s: exit %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// refuses wants a command to be refused for trust by one rule, without an
// envelope for anybody.
func (p *person) refuses(rule string, args ...string) {
	p.t.Helper()
	p.refused(4, rule, args...)
}

// refused is refuses with another exit code.
func (p *person) refused(code int, rule string, args ...string) {
	p.t.Helper()
	before := p.front.envelopes()
	r := p.run(append(args, "--verbose")...)
	if r.code != code {
		p.t.Fatalf("posthorn %s: exit %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.stdout, r.stderr)
	}
	if !strings.Contains(r.stderr, rule) {
		p.t.Errorf("posthorn %s: not refused by %s:\n%s", strings.Join(args, " "), rule, r.stderr)
	}
	if code == 4 && !strings.Contains(r.stderr, "nothing was sent") {
		p.t.Errorf("posthorn %s: it does not say that nothing was sent:\n%s", strings.Join(args, " "), r.stderr)
	}
	if after := p.front.envelopes(); !slices.Equal(after, before) {
		p.t.Errorf("posthorn %s: envelopes for %v were handed over", strings.Join(args, " "), after[len(before):])
	}
}

// puppet is an account whose keys the test has: somebody whose device was
// robbed, or an accomplice of the operator. Nobody reads its mail.
type puppet struct {
	t      testing.TB
	name   account.Name
	key    *account.SigningKey
	me     *pq3.Identity
	roster *account.Roster
}

func newDevice(t testing.TB) (*account.Device, *account.SigningKey) {
	t.Helper()
	key, _ := account.GenerateSigningKey(func(b []byte) { _, _ = rand.Read(b) })
	device := &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3, account.PQ3A}, CreatedAt: uint64(time.Now().UnixMilli())}
	_, _ = rand.Read(device.ID[:])
	return device, key
}

// newPuppet makes keys and a roster that no server knows.
func newPuppet(t testing.TB, name account.Name) *puppet {
	t.Helper()
	device, key := newDevice(t)
	statement, err := account.NewAccount(device, key, device.CreatedAt, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &puppet{t: t, name: name, key: key}
	if p.roster, err = account.StartRoster(statement); err != nil {
		t.Fatal(err)
	}
	if p.me, err = pq3.NewIdentity(account.Party{Account: p.roster.ID(), Device: device}, key); err != nil {
		t.Fatal(err)
	}
	return p
}

// puppet registers one.
func (o *operator) puppet(name account.Name) *puppet {
	o.t.Helper()
	p := newPuppet(o.t, name)
	if err := o.register(p); err != nil {
		o.t.Fatalf("register %s: %v", name, err)
	}
	return p
}

// register gives a puppet its name.
func (o *operator) register(p *puppet) error {
	return o.asDevice(p, func(c *transport.Client) error {
		return c.Register(within(o.t), p.name, p.roster.Statements()[0], p.bundle(0, pq3.BundleLife))
	})
}

// publishes replaces a puppet's bundle.
func (o *operator) publishes(p *puppet, bundle []byte) {
	o.t.Helper()
	if err := o.asDevice(p, func(c *transport.Client) error { return c.PublishBundle(within(o.t), bundle) }); err != nil {
		o.t.Fatal(err)
	}
}

// asDevice speaks to the server as a puppet's device.
func (o *operator) asDevice(p *puppet, do func(*transport.Client) error) error {
	c, err := transport.New(o.url, transport.Device{Account: p.roster.ID(), ID: p.device().ID, Key: p.key}, transport.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

func (p *puppet) device() *account.Device { return p.me.Party().Device }

func (p *puppet) record() kt.Record { return kt.RecordOf(p.name, p.roster) }

// bundle makes a bundle that is valid from one time after now to another.
func (p *puppet) bundle(from, to time.Duration) []byte {
	p.t.Helper()
	now := time.Now()
	prekey, err := pq3.NewPrekey(p.me, account.PQ3A, now.Add(from), now.Add(to), pq3.SystemEntropy())
	if err != nil {
		p.t.Fatal(err)
	}
	return prekey.Bundle().Marshal()
}

// adds gives the puppet's roster with one more device, by its own keys.
func (p *puppet) adds(ghost *account.Device, key *account.SigningKey) *account.Roster {
	p.t.Helper()
	id := p.device().ID
	s, err := p.roster.Propose(account.Author{Device: &id, Key: p.key}, []*account.SigningKey{key}, ghost.CreatedAt, rand.Reader, account.AddDevice{Device: ghost})
	if err != nil {
		p.t.Fatal(err)
	}
	next, err := p.roster.Apply(s)
	if err != nil {
		p.t.Fatal(err)
	}
	return next
}
