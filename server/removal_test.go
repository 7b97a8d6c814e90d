package server

import (
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store"
)

// without is an account with two devices, of which the second was removed, and
// its roster.
func without(o *office) (alice, laptop *person, roster *account.Roster) {
	alice = o.join("alice")
	laptop = alice.sibling()
	added := alice.linking(laptop)
	alice.mustUpdate(added)
	removal := alice.change(alice.roster(added.GetStatement()), alice.author(), nil, account.RemoveDevice{ID: laptop.party.Device.ID})
	alice.mustUpdate(removal)
	return alice, laptop, alice.roster(added.GetStatement(), removal.GetStatement())
}

// A device that was removed, and nobody else, gets the roster that says so; each
// proof once.
func TestV290OnlyARemovedDeviceSeesItsRemoval(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{OpenRegistration: true})
		alice, laptop, roster := without(o)
		bob, nobody := o.join("bob"), o.newPerson("nobody")
		find := func(proof *posthornv1.Proof) (*posthornv1.FindRemovalResponse, error) {
			return bob.line.directory.FindRemoval(t.Context(), &posthornv1.FindRemovalRequest{Proof: proof})
		}
		used := laptop.proof()
		answer, err := find(used)
		if err != nil {
			t.Fatal(err)
		}
		found, err := account.ReplayRoster(answer.GetStatements())
		if err != nil || found.Head() != roster.Head() || !wholeClass(answer) {
			t.Errorf("another roster than the newest, or its length shows: %v", err)
		}
		mixed, torn := laptop.proof(), laptop.proof()
		mixed.MldsaSignature = alice.proof().GetMldsaSignature()
		torn.EcdsaSignature = torn.GetEcdsaSignature()[1:]
		for name, proof := range map[string]*posthornv1.Proof{
			"a proof again": used, "a device that is there": alice.proof(), "another account": bob.proof(), "nobody": nobody.proof(),
			"another's signature": mixed, "another server": laptop.prove("chat.example.org", laptop.proof().GetChallenge()),
		} {
			_, err := find(proof)
			t.Log(name)
			wantRefusal(t, err, connect.CodeUnauthenticated, api.ReasonBadProof)
		}
		if _, err := find(torn); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("a signature that is too short: %v", err)
		}
		if _, err := find(nil); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("no proof: %v", err)
		}
	})
}

// With a log the removal is shown with its proof, from the moment on at which a
// login is refused for it.
func TestRemovalIsProved(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openLogged(t, s, Options{})
		alice, laptop, roster := without(o)
		policy, _ := o.pinned()
		wantRefusal(t, laptop.login(), connect.CodePermissionDenied, api.ReasonDeviceRemoved)
		got, err := alice.line.directory.FindRemoval(t.Context(), &posthornv1.FindRemovalRequest{Proof: laptop.proof(), Known: &posthornv1.KnownHead{}})
		if err != nil {
			t.Fatal(err)
		}
		found, err := account.ReplayRoster(got.GetStatements())
		if err != nil || found.Head() != roster.Head() {
			t.Fatalf("another roster than the newest: %v", err)
		}
		answer, err := kt.ParseAnswer(got.GetProof())
		if err != nil {
			t.Fatal(err)
		}
		record := kt.RecordOf("alice", found)
		if _, err := policy.Verify(answer, "alice", &record, kt.Known{}, time.Now()); err != nil {
			t.Fatalf("the proof: %v", err)
		}
	})
}
