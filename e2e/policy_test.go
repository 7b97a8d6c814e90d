package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/internal/machine"
)

// newWitnessing starts a witness of a server's log, with keys of its own.
func newWitnessing(t *testing.T, d *daemon) *witnessing {
	t.Helper()
	out, code := d.operate("log", "checkpoint", "--json")
	var log struct {
		Roots []string `json:"root_log_keys"`
	}
	if err := json.Unmarshal([]byte(out), &log); err != nil || code != 0 {
		t.Fatalf("exit %d, %s, %v", code, out, err)
	}
	w := &witnessing{t: t, state: filepath.Join(t.TempDir(), "state.json"), address: machine.Address(t), logs: log.Roots}
	w.start()
	t.Cleanup(func() { w.kill() })
	return w
}

// lines are those of a policy that asks for both signatures of a witness.
func (w *witnessing) lines(name string) string {
	return fmt.Sprintf("witness %[1]s-ed %[2]s http://%[4]s/ed\nwitness %[1]s-pq %[3]s http://%[4]s/pq\ngroup %[1]s all %[1]s-ed %[1]s-pq\n", name, w.keys[0], w.keys[1], w.address)
}

// policyFile writes a policy.
func policyFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// restart ends the server in order and starts it with another file of witnesses.
func (d *daemon) restart(policy string) {
	d.t.Helper()
	if err := d.stop(); err != nil {
		d.t.Fatalf("%v\n%s", err, d.logs)
	}
	d.options = []string{"--log-interval", "10ms", "--log-witnesses", policy}
	d.start()
}

// sets puts a policy in force and wants that number.
func (d *daemon) sets(policy string, want int) {
	d.t.Helper()
	out, code := d.operate("log", "policy", "set", policy, "--json")
	var set struct{ Number int }
	if err := json.Unmarshal([]byte(out), &set); err != nil || code != 0 || set.Number != want {
		d.t.Fatalf("exit %d, %s, %v\n%s", code, out, err, d.logs)
	}
}

// underPolicy wants a client to have checked its own name under a policy, with so
// many signatures of its witnesses.
func (p *person) underPolicy(number int, witnesses string) {
	p.t.Helper()
	var status struct {
		Consistent bool
		Log        struct {
			Number    int `json:"policy_number"`
			Witnesses []string
		}
	}
	if err := json.Unmarshal([]byte(p.must("transparency", "status", "--json")), &status); err != nil {
		p.t.Fatal(err)
	}
	if got := strings.Join(status.Log.Witnesses, " "); !status.Consistent || status.Log.Number != number || got != witnesses {
		p.t.Errorf("%s: consistent %v, policy %d, witnesses %q; want %d, %q", p.name, status.Consistent, status.Log.Number, got, number, witnesses)
	}
}

// A server that began without witnesses gets one, and later another in its place.
// Both clients go on without having to forget anything, and so does a new one.
// Without the witness nothing new is served, and with it all goes on.
func TestWitnessIsAddedAndReplaced(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "--log-interval", "10ms")
	alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
	for _, p := range []*person{alice, bob} {
		p.must("register", p.name, "--server", d.url())
	}
	alice.must("send", "@bob", "nobody watches")
	alice.underPolicy(0, "")

	one := newWitnessing(t, d)
	first := policyFile(t, one.lines("one")+"quorum one\n")
	if out, code := d.operate("log", "policy", "set", first); code != 1 {
		t.Errorf("a witness that is not asked yet: exit %d, %s", code, out)
	}
	alice.must("send", "@bob", "nothing was changed")
	d.restart(first)
	d.sets(first, 1)
	d.sets(first, 1)
	alice.must("send", "@bob", "somebody watches")
	for _, p := range []*person{alice, bob} {
		p.underPolicy(1, "one-ed one-pq")
	}

	one.kill()
	carol := newPerson(t, "carol")
	if r := carol.run("register", "carol", "--server", d.url()); r.code == 0 {
		t.Error("a name was published without the witness")
	}
	one.start()
	carol.must("register", "carol", "--server", d.url())
	carol.underPolicy(1, "one-ed one-pq")

	two := newWitnessing(t, d)
	d.restart(policyFile(t, one.lines("one")+two.lines("two")+"group both all one two\nquorum both\n"))
	second := policyFile(t, two.lines("two")+"quorum two\n")
	d.sets(second, 2)
	d.restart(second)
	one.kill()
	bob.must("send", "@alice", "another one watches")
	dave := newPerson(t, "dave")
	dave.must("register", "dave", "--server", d.url())
	for _, p := range []*person{alice, bob, carol, dave} {
		p.underPolicy(2, "two-ed two-pq")
	}
	carol.must("transparency", "audit")
	if out, code := d.operate("log", "policy", "show"); code != 0 || !strings.Contains(out, "quorum two\n") || strings.Contains(out, "http") {
		t.Errorf("exit %d, %s", code, out)
	}
	if out, code := d.operate("log", "verify"); code != 0 {
		t.Errorf("exit %d, %s", code, out)
	}
}
