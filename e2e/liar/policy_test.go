package liar

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/kt"
)

// sets puts a policy in force, as its operator's command does.
func (o *operator) sets(witnesses string) {
	o.t.Helper()
	if err := o.log.SetPolicy(within(o.t), []byte(witnesses)); err != nil {
		o.t.Fatal(err)
	}
}

// onPolicy rewrites what a client is told of policies.
func (f *front) onPolicy(change func(number uint32) *kt.Change) {
	lie(f, posthornv1connect.TransparencyServiceGetPolicyProcedure, func(q *posthornv1.GetPolicyRequest, a *posthornv1.GetPolicyResponse) {
		a.Change = nil
		if c := change(q.GetNumber()); c != nil {
			a.Change = c.Marshal()
		}
	})
}

// policyNumber is what transparency status says.
func (p *person) policyNumber() (number int, text string) {
	p.t.Helper()
	var status struct {
		Log struct {
			Number int    `json:"policy_number"`
			Policy string `json:"policy"`
		}
	}
	if err := json.Unmarshal([]byte(p.must("transparency", "status", "--json")), &status); err != nil {
		p.t.Fatal(err)
	}
	return status.Log.Number, status.Log.Policy
}

// standsAt wants a client to ask for a policy still, and for no other.
func (p *person) standsAt(want int) {
	p.t.Helper()
	p.front.honest()
	if got, _ := p.policyNumber(); got != want {
		p.t.Errorf("policy %d, want %d", got, want)
	}
}

// without takes the signatures of a witness off a checkpoint.
func without(signed []byte, name string) []byte {
	text, lines := signatureLines(signed)
	bare := append(text, '\n')
	for _, line := range lines {
		if !bytes.Contains(line, []byte(" "+name+" ")) {
			bare = append(bare, line...)
		}
	}
	return bare
}

// TestA25PolicyIsFollowed: a log that a witness signs goes on without it, which
// the witness has seen. Who knows the old policy, who comes anew, who was linked
// and who audits all go on, and nobody has to forget anything.
func TestA25PolicyIsFollowed(t *testing.T) {
	t.Parallel()
	o, _ := newWitnessed(t)
	alice, auditor := o.join("alice"), o.join("auditor")
	o.puppet("victim")
	alice.must("send", "@victim", "hello")
	auditor.must("transparency", "audit")
	o.sets("quorum none\n")
	if r := alice.run("send", "@victim", "and on we go"); r.code != 0 || !strings.Contains(r.stderr, "a new policy, number 1, with no witnesses") {
		t.Errorf("exit %d, or the user was not told\n%s", r.code, r.stderr)
	}
	if number, text := alice.policyNumber(); number != 1 || strings.Contains(text, "witness") {
		t.Errorf("policy %d\n%s", number, text)
	}
	o.sets(string(o.policy))
	auditor.must("transparency", "audit")
	dave := o.join("dave")
	dave.must("send", "@victim", "I am new")
	laptop := o.newcomer("alice")
	if r := laptop.linkedBy(alice); r.code != 0 { // alice knows policy 1, or 2 by now
		t.Fatalf("exit %d\n%s", r.code, r.stderr)
	}
	for _, p := range []*person{alice, auditor, dave, laptop} {
		p.standsAt(2)
		p.hasNoEvidence()
	}
}

// TestA25V284WeakerPolicyWithoutTheWitness: the operator leaves its witness out by
// a change that the witness has never seen.
func TestA25V284WeakerPolicyWithoutTheWitness(t *testing.T) {
	t.Parallel()
	o, _ := newWitnessed(t)
	alice, victim := o.join("alice"), o.puppet("victim")
	alice.must("send", "@victim", "hello")
	f := newForger(o)
	c := f.change("quorum none\n")
	alice.front.sees(f, nil)
	alice.front.onPolicy(func(uint32) *kt.Change { return c })
	alice.refuses("V-284", "send", "@victim", "not without the witness")
	o.convicts(alice, "policy", "V-284")
	alice.refuses("V-284", "send", "@victim", "nor at the second try")
	o.convicts(alice, "policy", "V-284") // the same file
	newcomer := o.newcomer("erin")
	newcomer.front.sees(f, nil)
	newcomer.front.onPolicy(func(uint32) *kt.Change { return c })
	newcomer.must("register", "erin", "--server", newcomer.front.url)
	newcomer.refuses("V-284", "send", "@victim", "whoever is new asks for it too")
	alice.standsAt(0)
	alice.must("send", "@victim", "with the witness")
	alice.wroteOnlyTo(victim)
}

// change writes a root that names a policy, under a checkpoint that no witness has
// seen, and gives what a client is told of it.
func (f *forger) change(witnesses string) *kt.Change {
	return f.changeFrom(f.o.log.Policy(), witnesses)
}

func (f *forger) changeFrom(before *kt.Policy, witnesses string) *kt.Change {
	next, err := before.Next(fmt.Appendf(nil, "log %s\n%s", strings.Join(before.LogKeys(), "\nlog "), kt.PlainPolicy([]byte(witnesses))))
	if err != nil {
		f.o.t.Fatal(err)
	}
	f.last.Standing = next.Standing()
	f.epoch()
	inclusion, err := tlog.ProveRecord(f.size(), f.size()-1, f)
	if err != nil {
		f.o.t.Fatal(err)
	}
	return &kt.Change{Text: next.Text(), Place: uint64(f.size() - 1), Root: f.last, Inclusion: bytes32(inclusion), Checkpoint: f.checkpoint()}
}

// TestA25V283PolicyThatTheLogDoesNotHold: the witness's own checkpoint, and a
// policy that is not under it.
func TestA25V283PolicyThatTheLogDoesNotHold(t *testing.T) {
	t.Parallel()
	o, _ := newWitnessed(t)
	alice, victim := o.join("alice"), o.puppet("victim")
	alice.must("send", "@victim", "hello")
	f := newForger(o)
	c := f.change("quorum none\n")
	head, err := o.log.Head(within(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Checkpoint = head.Checkpoint
	alice.front.sees(f, nil)
	alice.front.onPolicy(func(uint32) *kt.Change { return c })
	alice.refuses("V-283", "send", "@victim", "not by this")
	o.convicts(alice, "policy", "V-283")
	alice.standsAt(0)
	alice.wroteOnlyTo(victim)
}

// TestA25V282AnotherTextOfThePolicy: the log went on to a policy, and a client is
// shown another text, an earlier policy, or none.
func TestA25V282AnotherTextOfThePolicy(t *testing.T) {
	t.Parallel()
	o, w := newWitnessed(t)
	people := map[string]*person{}
	for _, name := range []string{"text", "earlier", "none", "nonsense"} {
		people[name] = o.join(account.Name("user" + name))
		people[name].must("transparency", "check", "@"+string(people[name].name))
	}
	o.sets("quorum none\n")
	size := headSize(t, o)
	people["earlier"].standsAt(1)
	first, err := o.log.Change(within(t), 1, size)
	if err != nil {
		t.Fatal(err)
	}
	o.sets(string(o.policy))
	victim := o.puppet("victim")
	for name, lies := range map[string]func(uint32) *kt.Change{
		"text": func(number uint32) *kt.Change {
			c, err := o.log.Change(context.Background(), number, size+3)
			if err != nil || c == nil {
				return first
			}
			c.Text = append(c.Text[:bytes.Index(c.Text, []byte("quorum"))], fmt.Sprintf("witness x %s -\nquorum x\n", w.key)...)
			return c
		},
		"earlier":  func(uint32) *kt.Change { return first },
		"none":     func(uint32) *kt.Change { return nil },
		"nonsense": func(uint32) *kt.Change { return &kt.Change{Text: []byte("quorum none\n"), Root: first.Root} },
	} {
		p := people[name]
		p.front.onPolicy(lies)
		rule, before := "V-282", 0
		if name == "none" {
			rule = "V-180"
		}
		if name == "earlier" {
			before = 1
		}
		p.refuses(rule, "send", "@victim", "not by this")
		if name != "none" {
			o.convicts(p, "policy", rule)
		}
		p.front.honest()
		if known := before; known > 0 {
			p.standsAt(2)
		}
		p.must("send", "@victim", "with an honest server")
		p.wroteOnlyTo(victim)
	}
}

// headSize is that of the newest checkpoint.
func headSize(t *testing.T, o *operator) uint64 {
	t.Helper()
	h, err := o.log.Head(within(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	return h.Size
}

// TestA25V285OlderPolicyIsPutBack: a log that has gone on to a policy with a
// witness is continued as if it had not.
func TestA25V285OlderPolicyIsPutBack(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, victim := o.join("alice"), o.puppet("victim")
	alice.must("send", "@victim", "hello")
	o.sets("witness w " + newWitness(t).key + " -\nquorum none\n")
	alice.must("send", "@victim", "under the new policy")
	for name, standing := range map[string]kt.Standing{"the first": {}, "another with its number": {Number: 1, Chain: [32]byte{1}}} {
		f := newForger(o)
		f.last.Standing = standing
		f.epoch()
		alice.front.sees(f, nil)
		alice.refuses("V-285", "send", "@victim", name)
	}
	o.convicts(alice, "answer", "V-285")
	alice.standsAt(1)
	alice.wroteOnlyTo(victim)
}

// TestA25V287ForkAtAPolicy: the log that vouches for a policy, and the one in
// which a contact has a ghost, part at the change.
func TestA25V287ForkAtAPolicy(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, victim := o.join("alice"), o.puppet("victim")
	alice.must("send", "@victim", "hello")
	from := o.log.Policy()
	f := newForger(o)
	text := "witness w " + newWitness(t).key + " -\nquorum none\n"
	o.sets(text)
	f.changeFrom(from, text) // to the same policy, and in another log
	f.epoch()
	alice.front.sees(f, nil)
	alice.refuses("V-287", "send", "@victim", "not in a fork")
	o.convicts(alice, "fork", "V-287")
	alice.refuses("V-186", "send", "@victim", "and not after that")
	alice.wroteOnlyTo(victim)
}

// TestA25V183NewWitnessWithheld: once the log has gone on to a policy, nothing is
// believed without its witness, and nobody misses the one before.
func TestA25V183NewWitnessWithheld(t *testing.T) {
	t.Parallel()
	o, w := newWitnessed(t)
	alice, victim := o.join("alice"), o.puppet("victim")
	alice.must("send", "@victim", "hello")
	o.sets("quorum none\n")
	alice.standsAt(1)
	o.sets(string(w.policy()))
	alice.standsAt(2)
	alice.front.tampers("victim", func(a *kt.Answer) { a.Checkpoint = without(a.Checkpoint, witnessName) })
	alice.refuses("V-183", "send", "@victim", "unwitnessed")
	o.convicts(alice, "answer", "V-183")
	alice.front.honest()
	alice.must("send", "@victim", "witnessed")
	alice.wroteOnlyTo(victim)
}

// TestA25V281PolicyThatWasHandedOver: a device that is linked knows the policy of
// the one that lets it in, which is a later one, and takes no other.
func TestA25V281PolicyThatWasHandedOver(t *testing.T) {
	t.Parallel()
	o, w := newWitnessed(t)
	alice := o.join("alice")
	o.sets("quorum none\n")
	o.sets(string(w.policy()))
	alice.standsAt(2)
	laptop := o.newcomer("alice")
	laptop.front.onPolicy(func(number uint32) *kt.Change {
		c, err := o.log.Change(context.Background(), number, headSize(t, o))
		if err == nil && c != nil && number == 2 {
			c.Text = append(c.Text[:bytes.Index(c.Text, []byte("witness"))], "quorum none\n"...)
		}
		return c
	})
	r := laptop.linkedBy(alice)
	if r.code != 4 || !strings.Contains(r.stderr, "V-281") {
		t.Fatalf("exit %d, want 4 by V-281\n%s", r.code, r.stderr)
	}
	laptop.front.honest()
	laptop.must("device", "link", "--server", laptop.front.url)
	laptop.standsAt(2)
}

// TestA25V286PolicyForOneEpoch: the log goes on to a weaker policy and is back at
// the old one with the next root. An auditor notices, and the log's own entries
// convict it.
func TestA25V286PolicyForOneEpoch(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	auditor := o.join("auditor")
	auditor.must("transparency", "audit")
	f := newForger(o)
	f.change("witness w " + newWitness(t).key + " -\nquorum none\n")
	f.last.Standing = kt.Standing{}
	f.epoch()
	auditor.front.sees(f, nil)
	f.updates(auditor.front)
	auditor.refused(4, "V-286", "transparency", "audit")
	if finding, err := o.convicts(auditor, "audit", "V-286").Verify(); err != nil || !finding.Conclusive {
		t.Errorf("%+v, %v", finding, err)
	}
}
