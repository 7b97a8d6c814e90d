package client

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/sumdb/note"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/kt"
)

// knownPolicy is the number of the policy in a client's database.
func (tn *town) knownPolicy(c *Client) (number uint32) {
	tn.t.Helper()
	tn.read(c, func(tx *localdb.Tx) error {
		row, err := tx.Log()
		if err != nil {
			return err
		}
		p, err := kt.ParsePolicy(row.Policy)
		if err == nil {
			number = p.Standing().Number
		}
		return err
	})
	return number
}

// told counts notices about policies.
func (tn *town) told(c *Client) (count int) {
	tn.t.Helper()
	notices, err := c.Notices(tn.ctx)
	if err != nil {
		tn.t.Fatal(err)
	}
	for _, text := range notices {
		if strings.Contains(text, "has a new policy") {
			count++
		}
	}
	return count
}

// TestPolicyIsStoredWithTheAnswerOrNotAtAll: a change that is right in itself is
// nothing yet when the answer which came under it is refused.
func TestPolicyIsStoredWithTheAnswerOrNotAtAll(t *testing.T) {
	tn := newTown(t)
	alice := tn.person("alice")
	tn.person("bob")
	if _, err := alice.CheckName(tn.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	key, err := note.NewEd25519VerifierKey("w", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{fmt.Sprintf("witness w %s -\nquorum none\n", key), "quorum none\n"} {
		if err := tn.log.SetPolicy(tn.ctx, []byte(text)); err != nil {
			t.Fatal(err)
		}
		tn.liars[alice].answers("bob", func(a *kt.Answer) { a.Present.Opening[0] ^= 1 })
		_, err = alice.CheckName(tn.ctx, "bob")
		wantCheck(t, err, "V-190")
		if got := tn.knownPolicy(alice); got != uint32(i) || tn.told(alice) != 0 {
			t.Fatalf("policy %d after a refused answer", got)
		}
		tn.liars[alice].honestAgain()
		view, err := alice.CheckName(tn.ctx, "bob")
		if got := tn.knownPolicy(alice); err != nil || got != uint32(i+1) || view.Policy != got || tn.told(alice) != 1 {
			t.Fatalf("policy %d, %v", got, err)
		}
		if _, err := alice.CheckName(tn.ctx, "bob"); err != nil || tn.told(alice) != 0 {
			t.Errorf("once more: %v", err)
		}
	}
	if done, err := alice.AuditLog(tn.ctx, ""); err != nil || done.View.Policy != 2 {
		t.Errorf("policy %d, %v", done.View.Policy, err)
	}
}

// TestPolicyThatComesDuringAnAudit: the entries that an audit is given go beyond
// the policy that it began under.
func TestPolicyThatComesDuringAnAudit(t *testing.T) {
	tn := newTown(t)
	alice := tn.person("alice")
	key, err := note.NewEd25519VerifierKey("w", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Appendf(nil, "witness w %s -\nquorum none\n", key)
	var changed atomic.Bool
	tn.liars[alice].heads(func(*posthornv1.GetHeadResponse) {
		if changed.Swap(true) {
			return
		}
		if err := tn.log.SetPolicy(tn.ctx, text); err != nil {
			t.Error(err)
		}
	})
	done, err := alice.AuditLog(tn.ctx, "")
	if err != nil || done.View.Policy != 1 || !changed.Load() {
		t.Errorf("policy %d, %v", done.View.Policy, err)
	}
	if done, err = alice.AuditLog(tn.ctx, ""); err != nil || done.From == 0 || done.View.Policy != 1 {
		t.Errorf("once more: from %d, policy %d, %v", done.From, done.View.Policy, err)
	}
}
