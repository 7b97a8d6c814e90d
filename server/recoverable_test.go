package server

import (
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// asksToRecover answers a fresh challenge of the server with a recovery key.
func (p *person) asksToRecover(key *account.SigningKey, name, audience string) *posthornv1.FindRecoverableRequest {
	p.t.Helper()
	answer, err := p.line.auth.GetChallenge(p.t.Context(), &posthornv1.GetChallengeRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	signature, err := key.SignHybrid(nil, api.RecoveryBytes(audience, answer.GetChallenge(), account.Name(name)), api.RecoveryContext)
	if err != nil {
		p.t.Fatal(err)
	}
	return &posthornv1.FindRecoverableRequest{
		Name: name, Challenge: answer.GetChallenge(), EcdsaSignature: signature.ECDSA[:], MldsaSignature: signature.MLDSA[:],
	}
}

func TestRecoveryKeyFindsItsAccount(t *testing.T) {
	o := open(t)
	alice, key, roster := recovering(t, o)
	answer, err := alice.line.directory.FindRecoverable(t.Context(), alice.asksToRecover(key, "alice", o.addr))
	if err != nil {
		t.Fatal(err)
	}
	found, err := account.ReplayRoster(answer.GetStatements())
	if err != nil || found.Head() != roster.Head() || string(answer.GetAccountId()) != string(alice.party.Account[:]) {
		t.Errorf("another roster than the newest, %v", err)
	}
}

// Whoever has no such key learns nothing: not even whether there is somebody
// of that name, or with a recovery key.
func TestV268OnlyTheRecoveryKeyFindsAnAccount(t *testing.T) {
	o := open(t)
	alice, key, _ := recovering(t, o)
	bob := o.join("bob")
	good := alice.asksToRecover(key, "alice", o.addr)
	if _, err := alice.line.directory.FindRecoverable(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	mixed := alice.asksToRecover(key, "alice", o.addr)
	mixed.MldsaSignature = alice.asksToRecover(bob.key, "alice", o.addr).GetMldsaSignature()
	requests := map[string]*posthornv1.FindRecoverableRequest{
		"challenge again":  good,
		"another key":      alice.asksToRecover(bob.key, "alice", o.addr),
		"the device's key": alice.asksToRecover(alice.key, "alice", o.addr),
		"no recovery key":  alice.asksToRecover(key, "bob", o.addr),
		"nobody":           alice.asksToRecover(key, "nobody", o.addr),
		"another server":   alice.asksToRecover(key, "alice", "posthorn.example"),
		"half of a proof":  mixed,
		"a made challenge": {Name: "alice", Challenge: make([]byte, 32), EcdsaSignature: good.GetEcdsaSignature(), MldsaSignature: good.GetMldsaSignature()},
	}
	for name, request := range requests {
		_, err := alice.line.directory.FindRecoverable(t.Context(), request)
		if connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantRefusal(t, err, connect.CodeUnauthenticated, api.ReasonBadProof)
	}
	for name, request := range map[string]*posthornv1.FindRecoverableRequest{
		"no signature": {Name: "alice"}, "no name": {EcdsaSignature: make([]byte, 64), MldsaSignature: make([]byte, 3309)},
	} {
		if _, err := alice.line.directory.FindRecoverable(t.Context(), request); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}
