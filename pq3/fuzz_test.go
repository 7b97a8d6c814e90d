package pq3_test

import (
	"bytes"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// kinds are a conversation in which the last message was not delivered, and
// one message of each kind.
func kinds(suite account.Suite) (alice, bob *pq3test.Endpoint, all [][]byte) {
	alice, bob = pq3test.NewEndpoint("alice", pq3.Policy{}, suite), pq3test.NewEndpoint("bob", pq3.Policy{}, suite)
	from, to := alice, bob
	for i := range 7 {
		wire, err := from.Send(to, pq3test.Now, "seed", 0)
		if err != nil {
			panic(err)
		}
		all = append(all, wire)
		if i == 6 {
			break
		}
		if _, err := to.Receive(from, pq3test.Now, wire); err != nil {
			panic(err)
		}
		from, to = to, from
	}
	return alice, bob, all
}

// FuzzParseMessage: whatever parses has exactly one form (I11).
func FuzzParseMessage(f *testing.F) {
	for _, suite := range bothSuites {
		_, _, all := kinds(suite)
		for _, wire := range all {
			f.Add(wire)
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		m, err := pq3.ParseMessage(wire)
		if err == nil && !bytes.Equal(pq3.Remarshal(m), wire) {
			t.Fatal("accepted bytes are not canonical")
		}
	})
}

// FuzzOpen: no changed message opens, and none changes anything.
func FuzzOpen(f *testing.F) {
	_, bob, all := kinds(account.PQ3A)
	alice := pq3test.NewIdentity("alice")
	last := all[len(all)-1]
	f.Add(last)
	f.Add(all[0])
	before := bob.Fingerprint()
	f.Fuzz(func(t *testing.T, wire []byte) {
		m, err := pq3.ParseMessage(wire)
		if err != nil || bytes.Equal(wire, last) {
			return
		}
		if _, _, err := bob.Sessions.Sending().Open(pq3test.Now, m); err == nil {
			t.Fatal("a message that nobody sent opens")
		}
		_, err = pq3.Accept(bob.Identity, alice.Party(), m, pq3.AcceptOptions{Prekeys: bob.Prekeys, Replays: bob.Replays}, pq3test.Now)
		if err == nil || bob.Fingerprint() != before {
			t.Fatalf("a start that nobody made: %v", err)
		}
	})
}

// FuzzRestoreSession: stored bytes are read strictly.
func FuzzRestoreSession(f *testing.F) {
	alice, bob, _ := kinds(account.PQ3A)
	s := bob.Sessions.Sending()
	f.Add(s.MarshalState(), s.MarshalSkipped())
	f.Fuzz(func(t *testing.T, state, skipped []byte) {
		restored, err := pq3.RestoreSession(bob.Identity, alice.Party(), pq3.Policy{}, state, skipped)
		if err == nil && (!bytes.Equal(restored.MarshalState(), state) || !bytes.Equal(restored.MarshalSkipped(), skipped)) {
			t.Fatal("accepted state is not canonical")
		}
	})
}
