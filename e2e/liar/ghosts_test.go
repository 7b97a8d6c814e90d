package liar

import (
	"crypto/rand"
	"testing"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/codec"
)

// rewriting is a change of an answer about a name.
type rewriting = func(*posthornv1.GetAccountRequest, *posthornv1.GetAccountResponse)

func unchanged(*posthornv1.GetAccountRequest, *posthornv1.GetAccountResponse) {}

// serves puts other statements into an answer.
func serves(statements [][]byte) rewriting {
	return func(_ *posthornv1.GetAccountRequest, a *posthornv1.GetAccountResponse) { a.Statements = statements }
}

// haunted is a puppet's roster with a ghost device that somebody else has added.
func (p *puppet) haunted(author account.DeviceID, sign func(body []byte) *account.Signature, ghost *account.Device, key *account.SigningKey) [][]byte {
	p.t.Helper()
	body, err := account.AdditionBody(p.roster.ID(), p.roster.Seq()+1, p.roster.Head(), ghost.CreatedAt, ghost)
	if err != nil {
		p.t.Fatal(err)
	}
	added, err := account.SignBody(key, body, rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	statement := append(codec.AppendV32(nil, body), 1)
	statement = append(statement, author[:]...)
	statement = append(sign(body).Append(statement), 1)
	return append(p.roster.Statements(), added.Append(statement))
}

// Ghost devices that the account's own devices did not sign for.
func TestA24V101GhostDevice(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, victim := o.join("alice"), o.puppet("victim")
	ghost, key := newDevice(t)
	byGhost := func(body []byte) *account.Signature {
		s, err := account.SignBody(key, body, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	nobody := func([]byte) *account.Signature { return &account.Signature{} }
	for name, statements := range map[string][][]byte{
		"signed by nobody":                     victim.haunted(victim.device().ID, nobody, ghost, key),
		"signed by the wrong key":              victim.haunted(victim.device().ID, byGhost, ghost, key),
		"signed by a device that is not there": victim.haunted(ghost.ID, byGhost, ghost, key),
	} {
		t.Run(name, func(t *testing.T) {
			alice.t = t
			alice.front.onAccount("victim", serves(statements))
			alice.refuses("V-101", "send", "@victim", "not for ghosts")
			alice.front.honest()
		})
	}
	alice.t = t
	alice.must("send", "@victim", "for you alone")
	alice.wroteOnlyTo(victim)
}

// A ghost device that the account's stolen key has signed for proves itself, and
// the log does not have it.
func TestA24V190UnloggedDevice(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, dave, victim := o.join("alice"), o.join("dave"), o.puppet("victim")
	ghost, key := newDevice(t)
	lied := serves(victim.adds(ghost, key).Statements())
	alice.must("send", "@victim", "hello") // she knows the victim, and dave does not
	for _, p := range []*person{alice, dave} {
		p.front.onAccount("victim", lied)
		p.refuses("V-190", "send", "@victim", "not for ghosts")
		o.convicts(p, "answer", "V-190")
		p.front.honest()
		p.must("send", "@victim", "for you alone")
		p.wroteOnlyTo(victim)
	}
}
