package liar

import (
	"context"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
)

const hour = time.Hour

// tampers changes the proof of every answer about a name.
func (f *front) tampers(name account.Name, change func(*kt.Answer)) {
	f.onAccount(name, func(_ *posthornv1.GetAccountRequest, a *posthornv1.GetAccountResponse) {
		if len(a.GetProof()) == 0 {
			return
		}
		answer, err := kt.ParseAnswer(a.GetProof())
		if err != nil {
			f.t.Errorf("the proof of %s: %v", name, err)
			return
		}
		change(answer)
		a.Proof = answer.Marshal()
	})
}

// TestA24V191VersionJump: versions of the name that the client is not shown.
func TestA24V191VersionJump(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, victim := o.join("alice"), o.puppet("victim")
	alice.must("send", "@victim", "hello")
	other := victim.record()
	other.Head[0] ^= 1
	publish(t, o.log, other)
	publish(t, o.log, victim.record()) // and back, as if nothing had been
	alice.front.tampers("victim", func(a *kt.Answer) { a.Present.Later = nil })
	alice.refuses("V-191", "send", "@victim", "a version is missing")
	o.convicts(alice, "answer", "V-191")
	alice.front.tampers("victim", func(a *kt.Answer) { a.Present.Later[0][0] ^= 1 })
	alice.refuses("V-191", "send", "@victim", "a version is another")
	alice.wroteOnlyTo(victim)
}

// TestA24V194OwnNameSwappedAndBack: a foreign record of the own name in the log,
// for one epoch. Only its owner can know that it is foreign.
func TestA24V194OwnNameSwappedAndBack(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	bob := o.join("bob")
	bob.must("read")
	reply, err := o.log.Answer(within(t), "bob", ktlog.Asked{})
	if err != nil {
		t.Fatal(err)
	}
	genuine, accomplice := *reply.Record, newPuppet(t, "bob")
	publish(t, o.log, accomplice.record())
	publish(t, o.log, genuine)
	bob.must("read") // mail goes on
	o.convicts(bob, "record", "V-194")
}

// TestA24V194OwnNameTaken: the log gives the own name to another account.
func TestA24V194OwnNameTaken(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	bob := o.join("bob")
	bob.must("read")
	accomplice := newPuppet(t, "bob")
	publish(t, o.log, accomplice.record())
	bob.front.sees(o.log, map[account.Name]*account.Roster{"bob": accomplice.roster})
	bob.must("read")
	e := o.convicts(bob, "record", "V-194")
	if e.Record.Account != accomplice.roster.ID() {
		t.Error("the evidence is not about the other account")
	}
}

// TestA29NameOfAnotherAccount: a name that was deleted is not given out again,
// and a log that gives it to new keys in all form blocks those who knew it.
func TestA29NameOfAnotherAccount(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, victim := o.join("alice"), o.puppet("victim")
	alice.must("send", "@victim", "hello")
	thief := newPuppet(t, "victim")
	publish(t, o.log, thief.record())
	alice.front.sees(o.log, map[account.Name]*account.Roster{"victim": thief.roster})
	alice.refuses("another account", "send", "@victim", "not for the thief")
	alice.refuses("another account", "send", "@victim", "nor later")
	alice.wroteOnlyTo(victim)

	if err := o.server.Delete(context.Background(), "victim"); err != nil {
		t.Fatal(err)
	}
	if err := o.register(newPuppet(t, "victim")); err == nil {
		t.Error("the name of a deleted account was given out again")
	}
}

// TestA33V01Homographs: names that look like another are no names, and the server
// gives out none.
func TestA33V01Homographs(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice := o.join("alice")
	for _, name := range []string{"аlice", "ali\u200dce", "ａlice", "\u202ealice", "alic\u0435", "Alice", "al\u0131ce", "álice", "a\u0301lice"} {
		if r := alice.run("send", "@"+name, "to whom?"); r.code != 2 {
			t.Errorf("a text for %q: exit %d\n%s", name, r.code, r.stderr)
		}
		if err := o.register(newPuppet(t, account.Name(name))); err == nil {
			t.Errorf("the server gave out %q", name)
		}
	}
	if got := alice.front.envelopes(); len(got) > 0 {
		t.Errorf("envelopes for %v", got)
	}
}

// The log is kept back, or what it has signed.
func TestA25WithheldProofs(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, victim, mallory := o.join("alice"), o.puppet("victim"), o.puppet("mallory")
	alice.must("send", "@victim", "hello")
	// Everything that is true of another name, under this one.
	another := func(_ *posthornv1.GetAccountRequest, a *posthornv1.GetAccountResponse) {
		reply, err := o.log.Answer(context.Background(), "mallory", ktlog.Asked{})
		if err != nil {
			t.Error(err)
			return
		}
		id := mallory.roster.ID()
		a.AccountId, a.Statements, a.Proof = id[:], mallory.roster.Statements(), reply.Answer.Marshal()
	}
	without := func(key int) func(*kt.Answer) {
		return func(a *kt.Answer) {
			text, lines := signatureLines(a.Checkpoint)
			a.Checkpoint = append(append(text, '\n'), lines[key]...)
		}
	}
	for _, lie := range []struct {
		name, rule string
		change     rewriting
		tamper     func(*kt.Answer)
	}{
		{"no proof", "V-195", func(_ *posthornv1.GetAccountRequest, a *posthornv1.GetAccountResponse) { a.Proof = nil }, nil},
		{"no roster", "V-190", serves(nil), nil},
		{"those of another name", "V-188", another, nil},
		{"without the Ed25519 signature", "V-182", nil, without(1)},
		{"without the ML-DSA-44 signature", "V-182", nil, without(0)},
		{"with another map", "V-187", nil, func(a *kt.Answer) { a.Root.MapRoot[0] ^= 1 }},
		{"with the place of another name", "V-188", nil, func(a *kt.Answer) { a.VRFProof[40] ^= 1 }},
		{"with another opening", "V-190", nil, func(a *kt.Answer) { a.Present.Opening[0] ^= 1 }},
	} {
		t.Run(lie.name, func(t *testing.T) {
			alice.t = t
			if lie.tamper != nil {
				alice.front.tampers("victim", lie.tamper)
			}
			if lie.change != nil {
				alice.front.onAccount("victim", lie.change)
			}
			alice.refuses(lie.rule, "send", "@victim", "nothing")
		})
	}
	alice.t = t
	alice.front.honest()
	alice.must("send", "@victim", "and on we go")
	alice.wroteOnlyTo(victim)
}
