package liar

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/recovery"
)

// newcomer is somebody with an empty profile and a front of her own.
func (o *operator) newcomer(name account.Name) *person {
	o.t.Helper()
	dir := o.t.TempDir()
	p := &person{
		t: o.t, name: name, home: filepath.Join(dir, "home"), passphrase: filepath.Join(dir, "passphrase"),
		clock: filepath.Join(dir, "offset"), front: newFront(o.t, o.url),
	}
	if err := os.WriteFile(p.passphrase, []byte(passphrase+"\n"), 0o600); err != nil {
		o.t.Fatal(err)
	}
	p.move(0)
	return p
}

// linkedBy runs 'device link' on p and approves its code on old.
func (p *person) linkedBy(old *person) result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--home", p.home, "device", "link", "--server", p.front.url, "--name", "laptop", "--json", "--verbose")
	cmd.Env = append(os.Environ(), "POSTHORN_PASSPHRASE_FILE="+p.passphrase, "POSTHORN_TEST_CLOCK_OFFSET=@"+p.clock)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	var waiting struct{ Code string }
	lines := bufio.NewReader(out)
	line, err := lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &waiting)
	}
	if err != nil {
		_ = cmd.Wait()
		p.t.Fatalf("no code: %v\n%s", err, stderr.String())
	}
	old.must("device", "approve", waiting.Code)
	var rest bytes.Buffer
	_, _ = lines.WriteTo(&rest)
	_ = cmd.Wait() // its exit code says all
	return result{rest.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// TestA25V186SplitViewToANewDevice: everybody sees the true log, and a device that
// is just being linked another one of the same keys, in which a contact has a
// ghost. It has seen no log before, and refuses the very first answer, by what the
// old device has told it. With an honest server it is on its account at once.
func TestA25V186SplitViewToANewDevice(t *testing.T) {
	t.Parallel()
	for name, more := range map[string][]account.Name{"as long": {"dave"}, "longer": {"dave", "erin", "frank"}} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t, nil)
			alice, victim := o.join("alice"), o.puppet("victim")
			alice.must("send", "@victim", "hello")
			other := o.fork()
			ghost, key := newDevice(t)
			haunted := victim.adds(ghost, key)
			o.join("bob")
			for _, one := range more[1:] {
				publish(t, other, newPuppet(t, one).record())
			}
			publish(t, other, newPuppet(t, more[0]).record())
			laptop := o.newcomer("alice")
			laptop.front.sees(other, map[account.Name]*account.Roster{"victim": haunted})
			r := laptop.linkedBy(alice)
			if r.code != 4 || !strings.Contains(r.stderr, "V-186") || !strings.Contains(r.stderr, "nothing was sent") {
				t.Fatalf("exit %d, want 4 by V-186\n%s", r.code, r.stderr)
			}
			o.convicts(laptop, "fork", "V-186")
			if r := laptop.run("send", "@victim", "not for ghosts"); r.code == 0 {
				t.Error("a device that trusts no log has sent")
			}
			laptop.front.honest()
			laptop.must("device", "link", "--server", laptop.front.url)
			laptop.must("send", "@victim", "and on we go")
			if containsDevice(laptop.front.envelopes(), victim, ghost.ID) {
				t.Error("an envelope for the ghost")
			}
		})
	}
}

// TestA25V185OlderLogToANewDevice: the log of a backup, in which a removed device
// of a contact would still be there.
func TestA25V185OlderLogToANewDevice(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice := o.join("alice")
	backup := o.fork()
	o.join("bob")
	laptop := o.newcomer("alice")
	laptop.front.sees(backup, nil)
	if r := laptop.linkedBy(alice); r.code != 4 || !strings.Contains(r.stderr, "V-185") {
		t.Fatalf("exit %d, want 4 by V-185\n%s", r.code, r.stderr)
	}
	o.convicts(laptop, "answer", "V-185")
}

// TestA25V281AnotherLogToANewDevice: a whole log of other keys, right in itself.
func TestA25V281AnotherLogToANewDevice(t *testing.T) {
	t.Parallel()
	o, elsewhere := newOperator(t, nil), newOperator(t, nil)
	alice, laptop := o.join("alice"), o.newcomer("alice")
	laptop.front.sees(elsewhere.log, nil)
	shown, err := elsewhere.log.Head(within(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	lie(laptop.front, posthornv1connect.TransparencyServiceGetHeadProcedure, func(_ *posthornv1.GetHeadRequest, a *posthornv1.GetHeadResponse) {
		a.Checkpoint, a.Config, a.Policy = shown.Checkpoint, shown.Config.Marshal(), string(shown.Policy)
		a.Consistency, a.ConfigInclusion = nil, slices32(shown.Inclusion)
		a.Root, a.RootInclusion = shown.Root.Marshal(), slices32(shown.Last)
	})
	r := laptop.linkedBy(alice)
	if r.code != 4 || !strings.Contains(r.stderr, "V-281") || !strings.Contains(r.stderr, "posthorn transparency status") {
		t.Fatalf("exit %d, want 4 by V-281\n%s", r.code, r.stderr)
	}
	laptop.hasNoEvidence() // the log it knows has said nothing
	laptop.front.honest()
	laptop.must("device", "link", "--server", laptop.front.url)
}

// TestLinkWithoutAttachments: a server that keeps no attachments takes no history,
// and both sides say so at once instead of waiting for it.
func TestLinkWithoutAttachments(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, laptop := o.join("alice"), o.newcomer("alice")
	r := laptop.linkedBy(alice)
	if r.code != 0 || !strings.Contains(r.stderr, "were not handed over and do not come later") ||
		!strings.Contains(r.stdout, `"device_name":"laptop","history":{"done":0,"total":0,"finished":false,"no_attachments":true}`) {
		t.Fatalf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// recovers runs 'device recover' on p with a phrase on standard input.
func (p *person) recovers(phrase string, args ...string) result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	args = append([]string{"--home", p.home, "device", "recover", string(p.name), "--server", p.front.url, "--verbose"}, args...)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "POSTHORN_PASSPHRASE_FILE="+p.passphrase, "POSTHORN_TEST_CLOCK_OFFSET=@"+p.clock)
	cmd.Stdin = strings.NewReader(phrase)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // its exit code says all
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// onRecovery rewrites what a recovery key finds.
func (f *front) onRecovery(change func(*posthornv1.FindRecoverableResponse)) {
	lie(f, posthornv1connect.DirectoryServiceFindRecoverableProcedure, func(_ *posthornv1.FindRecoverableRequest, a *posthornv1.FindRecoverableResponse) { change(a) })
}

// TestA24LiesToARecovery: whoever has lost all devices is shown an account of the
// operator's that has been given the same recovery key, or no proof, or the proof
// of an older roster. Nothing is changed, and the phrase still works afterwards.
func TestA24LiesToARecovery(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice := o.join("alice")
	early, err := o.log.Answer(within(t), "alice", ktlog.Asked{})
	if err != nil {
		t.Fatal(err)
	}
	phrase := alice.must("device", "recovery", "create")
	genuine, err := recovery.Parse(phrase)
	if err != nil {
		t.Fatal(err)
	}
	key, err := recovery.Key(&genuine)
	if err != nil {
		t.Fatal(err)
	}
	impostor := newPuppet(t, "alice").recoverableBy(key.Public())
	for name, l := range map[string]struct {
		rule   string
		change func(*posthornv1.FindRecoverableResponse)
	}{
		"another account with this key": {"V-190", func(a *posthornv1.FindRecoverableResponse) {
			id := impostor.ID()
			a.AccountId, a.Statements = id[:], impostor.Statements()
		}},
		"no proof":           {"V-195", func(a *posthornv1.FindRecoverableResponse) { a.Proof = nil }},
		"an older proof":     {"V-185", func(a *posthornv1.FindRecoverableResponse) { a.Proof = early.Answer.Marshal() }},
		"nobody, so it says": {"V-101", func(a *posthornv1.FindRecoverableResponse) { a.AccountId, a.Statements = nil, nil }},
	} {
		t.Run(name, func(t *testing.T) {
			p := o.newcomer("alice")
			p.t = t
			p.front.onRecovery(l.change)
			r := p.recovers(phrase)
			if r.code != 4 || !strings.Contains(r.stderr, l.rule) || !strings.Contains(r.stderr, "hint:") {
				t.Fatalf("exit %d, want 4 by %s\n%s", r.code, l.rule, r.stderr)
			}
			if l.rule == "V-190" || l.rule == "V-185" {
				o.convicts(p, "answer", l.rule)
			}
			if asked, _ := p.front.count(posthornv1connect.DirectoryServiceUpdateRosterProcedure); asked != 0 {
				t.Error("the roster was changed")
			}
			p.front.honest()
			if r := p.recovers(phrase); r.code != 0 {
				t.Fatalf("an honest server: exit %d\n%s", r.code, r.stderr)
			}
		})
	}
}

// TestA25V186SplitViewDuringARecovery: a recovery that was cut off goes on with
// the log that it met first, and is not led to another.
func TestA25V186SplitViewDuringARecovery(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice := o.join("alice")
	phrase := alice.must("device", "recovery", "create")
	other := o.fork()
	o.join("bob")
	publish(t, other, newPuppet(t, "dave").record())
	p := o.newcomer("alice")
	p.front.breaks(posthornv1connect.DirectoryServiceUpdateRosterProcedure)
	if r := p.recovers(phrase); r.code != 3 {
		t.Fatalf("cut off: exit %d\n%s", r.code, r.stderr)
	}
	p.front.honest()
	p.front.sees(other, nil)
	lie(p.front, posthornv1connect.DirectoryServiceFindRecoverableProcedure, func(q *posthornv1.FindRecoverableRequest, a *posthornv1.FindRecoverableResponse) {
		reply, err := other.Answer(context.Background(), "alice", ktlog.Asked{Size: q.GetKnown().GetSize(), Known: true})
		if err != nil {
			t.Error(err)
			return
		}
		a.Proof = reply.Answer.Marshal()
	})
	if r := p.recovers(phrase); r.code != 4 || !strings.Contains(r.stderr, "V-186") {
		t.Fatalf("exit %d, want 4 by V-186\n%s", r.code, r.stderr)
	}
	o.convicts(p, "fork", "V-186")
}

// recoverableBy is the puppet's roster with a recovery key. Nobody has to have
// the key for that.
func (p *puppet) recoverableBy(key *account.VerifyingKey) *account.Roster {
	p.t.Helper()
	id := p.device().ID
	s, err := p.roster.Propose(account.Author{Device: &id, Key: p.key}, nil, p.device().CreatedAt, rand.Reader, account.SetRecovery{Key: key})
	if err != nil {
		p.t.Fatal(err)
	}
	next, err := p.roster.Apply(s)
	if err != nil {
		p.t.Fatal(err)
	}
	return next
}
