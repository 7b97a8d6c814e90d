package server

import (
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store"
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

// With a log the holder of the key gets its proof, if it asks for one, in an
// answer of a whole class. Others learn as little as before.
func TestRecoverableAnswerIsProved(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openLogged(t, s, Options{})
		alice, key, roster := recovering(t, o)
		policy, _ := o.pinned()
		find := func() *posthornv1.FindRecoverableResponse {
			request := alice.asksToRecover(key, "alice", o.addr)
			request.Known = &posthornv1.KnownHead{}
			got, err := alice.line.directory.FindRecoverable(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			found, err := account.ReplayRoster(got.GetStatements())
			if err != nil {
				t.Fatal(err)
			}
			answer, err := kt.ParseAnswer(got.GetProof())
			if err != nil {
				t.Fatal(err)
			}
			record := kt.RecordOf("alice", found)
			if _, err := policy.Verify(answer, "alice", &record, kt.Known{}, time.Now()); err != nil {
				t.Fatalf("the proof: %v", err)
			}
			return got
		}
		one := find()
		phone := alice.sibling()
		alice.mustUpdate(alice.change(roster, alice.author(), []*person{phone}))
		two := find()
		if len(two.GetStatements()) != len(one.GetStatements())+1 || !wholeClass(one) || !wholeClass(two) {
			t.Errorf("%d bytes for %d statements, %d bytes for %d", proto.Size(one), len(one.GetStatements()), proto.Size(two), len(two.GetStatements()))
		}
		plain, err := alice.line.directory.FindRecoverable(t.Context(), alice.asksToRecover(key, "alice", o.addr))
		if err != nil || len(plain.GetProof()) != 0 || !wholeClass(plain) {
			t.Errorf("without a question: %d bytes of proof, %d bytes, %v", len(plain.GetProof()), proto.Size(plain), err)
		}
		var lengths []int
		for _, name := range []string{"alice", "nobody"} {
			request := alice.asksToRecover(alice.key, name, o.addr)
			request.Known = &posthornv1.KnownHead{}
			_, err := alice.line.directory.FindRecoverable(t.Context(), request)
			wantRefusal(t, err, connect.CodeUnauthenticated, api.ReasonBadProof)
			lengths = append(lengths, len(err.Error()))
		}
		if lengths[0] != lengths[1] {
			t.Errorf("a refusal says whether there is such a name: %v", lengths)
		}
	})
}

// wholeClass reports whether the length of an answer says no more than its class.
// The length of the padding takes two or three bytes.
func wholeClass(m proto.Message) bool {
	short := answerClass - proto.Size(m)%answerClass
	return short == 1 || short == answerClass
}
