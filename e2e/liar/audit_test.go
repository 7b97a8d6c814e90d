package liar

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
)

// audited is what audit prints with --json, as far as it is looked at here.
type audited struct {
	Epochs, From uint64
	Names        int
	Cosigned     *string
	Keys         []string `json:"cosigner_keys"`
}

func (p *person) audits(args ...string) (a audited) {
	p.t.Helper()
	out := p.must(append([]string{"transparency", "audit", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	return a
}

// replays shows an auditor the updates of another log.
func (f *front) replays(l *ktlog.Log) {
	lie(f, posthornv1connect.TransparencyServiceGetUpdatesProcedure, func(q *posthornv1.GetUpdatesRequest, a *posthornv1.GetUpdatesResponse) {
		epochs, checkpoint, err := l.Epochs(context.Background(), q.GetEpoch())
		if err != nil {
			f.t.Errorf("the other log: %v", err)
			return
		}
		a.Checkpoint, a.Epochs = checkpoint, nil
		for _, e := range epochs {
			epoch := &posthornv1.LogEpoch{Root: e.Entry}
			for _, u := range e.Updates {
				epoch.Updates = append(epoch.Updates, u.Marshal())
			}
			a.Epochs = append(a.Epochs, epoch)
		}
	})
}

// TestAuditGoesOn: the second audit begins where the first one ended, and a log
// that was put back or forked in between is noticed by its checkpoint.
func TestAuditGoesOn(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	auditor, other := o.join("auditor"), o.join("other")
	first := auditor.audits()
	if first.From != 0 || first.Names != 2 || first.Cosigned != nil {
		t.Errorf("the first audit: %+v", first)
	}
	other.audits()
	backup, fork := o.fork(), o.fork()
	o.join("bob")
	second := auditor.audits()
	if second.From != first.Epochs || second.Epochs <= first.Epochs || second.Names != 3 {
		t.Errorf("the second audit: %+v after %+v", second, first)
	}

	auditor.front.sees(backup, nil)
	auditor.refused(4, "V-185", "transparency", "audit")
	o.convicts(auditor, "rollback", "V-185")
	auditor.front.honest()
	auditor.audits()

	other.audits()
	publish(t, fork, newPuppet(t, "carol").record())
	publish(t, fork, newPuppet(t, "dave").record())
	other.front.sees(fork, map[account.Name]*account.Roster{})
	other.refused(4, "V-186", "transparency", "audit")
	o.convicts(other, "fork", "V-186")
}

// TestA25AuditHearsOfAnotherLog: a head that a contact passed on, of a log that
// the auditor was not shown.
func TestA25AuditHearsOfAnotherLog(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, auditor := o.join("alice"), o.join("auditor")
	other := o.fork()
	o.join("bob")
	publish(t, other, newPuppet(t, "carol").record())
	auditor.audits()
	alice.front.sees(other, nil)
	alice.must("send", "@auditor", "what do you see?")
	r := auditor.run("read")
	if r.code != 0 || !strings.Contains(r.stdout, "what do you see?") {
		t.Fatalf("exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
	auditor.refused(4, "V-186", "transparency", "audit")
	o.convicts(auditor, "fork", "V-186")
}

// TestAuditorsCosign: an auditor's keys sign what was audited, so that a policy
// can ask for them, and nothing that does not continue it.
func TestAuditorsCosign(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	auditor := o.join("auditor")
	file := filepath.Join(t.TempDir(), "auditor.json")
	auditor.refused(1, "transparency keys FILE", "transparency", "audit", "--cosign", file)
	keys := strings.Fields(auditor.must("transparency", "keys", file, "--name", "auditor.example"))
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if r := auditor.run("transparency", "keys", file); r.code != 2 {
		t.Errorf("keys over keys: exit %d", r.code)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("the keys were replaced: %v", err)
	}
	fork := o.fork()
	a := auditor.audits("--cosign", file)
	if a.Cosigned == nil || strings.Join(a.Keys, " ") != strings.Join(keys, " ") {
		t.Fatalf("%+v, keys %v", a, keys)
	}
	relying := fmt.Appendf(nil, "%switness ed %s -\nwitness ml %s -\ngroup both 2 ed ml\nquorum both\n",
		strings.TrimSuffix(string(o.log.Policy().Text()), "quorum none\n"), keys[0], keys[1])
	policy, err := kt.NewPolicy(relying, kt.Config{Policy: sha256.Sum256(relying)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.Checkpoint([]byte(*a.Cosigned))
	if err != nil || len(c.Witnesses) != 2 || c.Size != a.Epochs {
		t.Fatalf("%+v, %v", c, err)
	}

	o.join("bob")
	if note := auditor.must("transparency", "audit", "--cosign", file); !strings.HasPrefix(note, o.log.Origin()+"\n") || strings.Count(note, "auditor.example") != 2 {
		t.Errorf("what is printed: %s", note)
	}
	// Somebody else has the same keys and is shown another log.
	publish(t, fork, newPuppet(t, "carol").record())
	stranger := o.join("stranger")
	stranger.must("transparency", "forget", "--yes")
	stranger.front.sees(fork, nil)
	stranger.front.replays(fork)
	r := stranger.run("transparency", "audit", "--cosign", file)
	if r.code != 4 || r.stdout != "" || !strings.Contains(r.stderr, "these keys signed last") {
		t.Errorf("another log: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}
