package server

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// invite makes an invite and returns its token's text.
func (o *office) invite(life time.Duration) (InviteID, string) {
	o.t.Helper()
	made, token, err := o.srv.CreateInvite(o.t.Context(), life)
	if err != nil {
		o.t.Fatal(err)
	}
	return made.ID, token.Text()
}

// invited is somebody new who holds an invite.
func (o *office) invited(name, token string) *person {
	o.t.Helper()
	p := o.newPerson(name)
	p.invite = token
	return p
}

func (o *office) stateOf(id InviteID) InviteState {
	o.t.Helper()
	all, err := o.srv.Invites(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	for _, i := range all {
		if i.ID == id {
			return i.State
		}
	}
	return ""
}

// nothingOf checks that the directory has no record of anybody.
func (o *office) nothingOf(what ...string) {
	o.t.Helper()
	for _, prefix := range what {
		found, err := o.store.Scan(o.t.Context(), prefix+"/", "", 9)
		if err != nil || len(found) > 0 {
			o.t.Errorf("%d records of kind %s are there, %v", len(found), prefix, err)
		}
	}
	if counted, err := o.store.Stats(o.t.Context()); err != nil || counted.Mailboxes > 0 {
		o.t.Errorf("%d mailboxes are there, %v", counted.Mailboxes, err)
	}
}

func TestAnInviteMakesOneAccount(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{})
		id, token := o.invite(time.Hour)
		if got := o.stateOf(id); got != InviteOpen {
			t.Errorf("a new invite is %s", got)
		}
		alice := o.invited("alice", token)
		for range 2 { // repeated, as after a lost answer
			if err := alice.register(); err != nil {
				t.Fatal(err)
			}
		}
		if got := o.stateOf(id); got != InviteUsed {
			t.Errorf("a used invite is %s", got)
		}
		wantRefusal(t, o.invited("bob", token).register(), connect.CodePermissionDenied, api.ReasonInviteUsed)
		if found, err := s.Scan(t.Context(), "account/", "", 9); err != nil || len(found) != 1 {
			t.Errorf("%d accounts, %v", len(found), err)
		}
	})
}

// TestV153UnknownInvite: whatever never was an invite gets the same answer, and
// leaves nothing behind.
func TestV153UnknownInvite(t *testing.T) {
	o := openOver(t, memory.New(), Options{})
	_, token := o.invite(time.Hour)
	other := []byte(token)
	other[20] ^= 1 // the id, made from the hash, is another
	first := ""
	for _, text := range []string{strings.Repeat("A", 24), string(other), "x", strings.Repeat("A", 2000), token + " "} {
		err := o.invited("alice", text).register()
		wantRefusal(t, err, connect.CodePermissionDenied, api.ReasonInviteUnknown)
		if answer := err.Error() + detailOf(t, err).String(); first == "" {
			first = answer
		} else if answer != first {
			t.Errorf("%.30q gets another answer: %s", text, answer)
		}
	}
	o.nothingOf("name", "account", "device", "login")
}

// TestV154ClosedInvites: its holder may know why an invite is no good.
func TestV154ClosedInvites(t *testing.T) {
	o := openOver(t, memory.New(), Options{})
	expired, expiredToken := o.invite(-time.Millisecond)
	revoked, revokedToken := o.invite(time.Hour)
	for range 2 {
		if err := o.srv.RevokeInvite(t.Context(), revoked); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal(t, o.invited("alice", expiredToken).register(), connect.CodePermissionDenied, api.ReasonInviteExpired)
	wantRefusal(t, o.invited("alice", revokedToken).register(), connect.CodePermissionDenied, api.ReasonInviteRevoked)
	o.nothingOf("name", "account", "device", "login")
	if a, b := o.stateOf(expired), o.stateOf(revoked); a != InviteExpired || b != InviteRevoked {
		t.Errorf("listed as %s and %s", a, b)
	}
	if err := o.srv.RevokeInvite(t.Context(), "0011223344556677"); !errors.Is(err, ErrNoInvite) {
		t.Errorf("revoking what is not there: %v", err)
	}
}

func TestAUsedInviteCannotBeRevoked(t *testing.T) {
	o := openOver(t, memory.New(), Options{})
	id, token := o.invite(time.Hour)
	if err := o.invited("alice", token).register(); err != nil {
		t.Fatal(err)
	}
	if err := o.srv.RevokeInvite(t.Context(), id); !errors.Is(err, ErrInviteUsed) {
		t.Errorf("%v", err)
	}
}

// Sixteen people use one invite at the same moment, again and again.
func TestARaceForAnInviteHasOneWinner(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{})
		for round := range 4 {
			_, token := o.invite(time.Hour)
			people := make([]*person, 16)
			for i := range people {
				people[i] = o.invited("racer"+string(rune('a'+round))+string(rune('a'+i)), token)
			}
			var all sync.WaitGroup
			failed := make([]error, len(people))
			for i, p := range people {
				all.Go(func() { failed[i] = p.register() })
			}
			all.Wait()
			won := 0
			for _, err := range failed {
				if err == nil {
					won++
				} else {
					wantRefusal(t, err, connect.CodePermissionDenied, api.ReasonInviteUsed)
				}
			}
			if won != 1 {
				t.Errorf("round %d: %d accounts were made with one invite", round, won)
			}
		}
		if found, err := s.Scan(t.Context(), "account/", "", 99); err != nil || len(found) != 4 {
			t.Errorf("%d account records after four rounds, %v", len(found), err)
		}
	})
}

// A registration stops after each of its writes in turn. Whoever began it can
// finish it with the same invite, and nobody else can.
func TestAnInterruptedRegistrationKeepsItsInvite(t *testing.T) {
	for writes := range 6 {
		failing := &failing{Store: memory.New(), writes: 1 << 30}
		o := openOver(t, failing, Options{})
		id, token := o.invite(time.Hour)
		alice := o.invited("alice", token)
		request := alice.registration() // the shared keys are written before
		failing.set(writes)
		_, err := alice.line.directory.Register(t.Context(), request)
		failing.set(1 << 30)
		if err == nil {
			if writes < 5 {
				t.Errorf("registered with %d writes", writes)
			}
			continue
		}
		wantRefusal(t, err, connect.CodeUnavailable, api.ReasonStorage)
		if want := map[bool]InviteState{true: InviteOpen, false: InviteUsed}[writes == 0]; o.stateOf(id) != want {
			t.Errorf("after %d writes the invite is %s", writes, o.stateOf(id))
		}
		if writes > 0 {
			wantRefusal(t, o.invited("mallory", token).register(), connect.CodePermissionDenied, api.ReasonInviteUsed)
		}
		if err := alice.register(); err != nil {
			t.Errorf("after %d writes, again: %v", writes, err)
		}
	}
}

// A name that is taken costs nobody the invite, and neither does an account
// that has a name.
func TestARefusedNameSpendsNoInvite(t *testing.T) {
	o := openOver(t, memory.New(), Options{})
	_, first := o.invite(time.Hour)
	alice := o.invited("alice", first)
	if err := alice.register(); err != nil {
		t.Fatal(err)
	}
	id, token := o.invite(time.Hour)
	wantRefusal(t, o.invited("alice", token).register(), connect.CodeAlreadyExists, api.ReasonNameTaken)
	alice.name, alice.invite = "alice2", token
	wantRefusal(t, alice.register(), connect.CodeAlreadyExists, api.ReasonAccountExists)
	if got := o.stateOf(id); got != InviteOpen {
		t.Errorf("the invite is %s", got)
	}
	if err := o.invited("bob", token).register(); err != nil {
		t.Error(err)
	}
}
