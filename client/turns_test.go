package client

import (
	"testing"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// TestV185NextQuestionKnowsTheLastAnswer: what one look-up has proved counts for
// the next, whatever becomes of the roster that the first was about. Otherwise
// two look-ups at once could be shown two logs.
func TestV185NextQuestionKnowsTheLastAnswer(t *testing.T) {
	tn := newTown(t)
	alice, bob := tn.person("alice"), tn.person("bob")
	var old []byte
	tn.liars[alice].about("bob", func(m *posthornv1.GetAccountResponse) { old = m.GetProof() })
	if _, _, err := alice.provenByName(tn.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	tn.liars[alice].honestAgain()
	tn.person("carol")
	if _, _, err := alice.provenByID(tn.ctx, bob.profile.Account, "bob"); err != nil {
		t.Fatal(err)
	}
	l, err := alice.ledger(tn.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if label, err := alice.label(tn.ctx, "bob"); err != nil || label == nil {
		t.Errorf("the history of a name that was proved is %v, %v", label, err)
	}
	tn.liars[alice].about("bob", func(m *posthornv1.GetAccountResponse) { m.Proof = old })
	_, _, err = alice.provenByName(tn.ctx, "bob")
	wantCheck(t, err, "V-185")
	if now, err := alice.ledger(tn.ctx); err != nil || now.Size != l.Size {
		t.Errorf("the log went from %d to %d, %v", l.Size, now.Size, err)
	}
}
