package server

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

func byName(name string) *posthornv1.GetAccountRequest {
	return &posthornv1.GetAccountRequest{Account: &posthornv1.GetAccountRequest_Name{Name: name}}
}

func byID(id []byte) *posthornv1.GetAccountRequest {
	return &posthornv1.GetAccountRequest{Account: &posthornv1.GetAccountRequest_AccountId{AccountId: id}}
}

func bundleOf(p *person) *posthornv1.FetchBundleRequest {
	return &posthornv1.FetchBundleRequest{AccountId: p.party.Account[:], DeviceId: p.party.Device.ID[:]}
}

func TestDirectory(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{OpenRegistration: true})
		alice, bob := o.join("alice"), o.join("bob")
		ctx := bearer(t, bob.token)
		for _, request := range []*posthornv1.GetAccountRequest{byName("alice"), byID(alice.party.Account[:])} {
			got, err := bob.line.directory.GetAccount(ctx, request)
			if err != nil || got.GetName() != "alice" || !bytes.Equal(got.GetAccountId(), alice.party.Account[:]) {
				t.Fatalf("got %v, %v", got.GetName(), err)
			}
			roster, err := account.ReplayRoster(got.GetStatements())
			if err != nil || roster.ID() != alice.party.Account {
				t.Fatalf("the roster does not prove the account: %v", err)
			}
		}
		newer := alice.bundle(time.Now().Add(time.Second), time.Hour)
		if _, err := alice.line.directory.PublishBundle(bearer(t, alice.token), &posthornv1.PublishBundleRequest{Bundle: newer}); err != nil {
			t.Fatal(err)
		}
		got, err := bob.line.directory.FetchBundle(ctx, bundleOf(alice))
		if err != nil || !bytes.Equal(got.GetBundle(), newer) {
			t.Fatalf("not the newest bundle, %v", err)
		}
	})
}

func TestLookupsOfNobody(t *testing.T) {
	o := open(t)
	bob, stranger := o.join("bob"), o.newPerson("nobody")
	ctx := bearer(t, bob.token)
	for _, request := range []*posthornv1.GetAccountRequest{byName("nobody"), byID(stranger.party.Account[:])} {
		_, err := bob.line.directory.GetAccount(ctx, request)
		wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAccount)
	}
	_, err := bob.line.directory.FetchBundle(ctx, bundleOf(stranger))
	wantRefusal(t, err, connect.CodeNotFound, api.ReasonNoBundle)
	for _, name := range []string{"", "ab", "@bob", "Bob", "bob bob", "bob\x00", "bоb"} {
		_, err := bob.line.directory.GetAccount(ctx, byName(name))
		wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
	}
}

func TestV82Statements(t *testing.T) {
	o := open(t)
	alice, bob := o.newPerson("alice"), o.newPerson("bob")
	for name, spoil := range map[string]func([]byte) []byte{
		"none":          func([]byte) []byte { return nil },
		"truncated":     func(s []byte) []byte { return s[:len(s)-1] },
		"longer":        func(s []byte) []byte { return append(s, 0) },
		"signature":     func(s []byte) []byte { s[len(s)-9] ^= 1; return s },
		"first byte":    func(s []byte) []byte { s[0] ^= 1; return s },
		"somebody else": func([]byte) []byte { return bob.statement },
	} {
		t.Run(name, func(t *testing.T) {
			request := alice.registration()
			request.Statement = spoil(bytes.Clone(request.Statement))
			_, err := alice.line.directory.Register(t.Context(), request)
			if name == "somebody else" { // verifies, but the proof is not by its device
				wantRefusal(t, err, connect.CodeUnauthenticated, api.ReasonBadProof)
				return
			}
			wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadStatement)
		})
	}
	if err := alice.register(); err != nil {
		t.Errorf("the refusals left something behind: %v", err)
	}
}

func TestV83Bundles(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	now := time.Now()
	flipped := alice.bundle(now, time.Hour)
	flipped[100] ^= 1
	unsigned := alice.bundle(now, time.Hour)
	unsigned[len(unsigned)-1] ^= 1
	for name, bundle := range map[string][]byte{
		"none":          nil,
		"truncated":     alice.bundle(now, time.Hour)[:account.BundleSize-1],
		"flipped":       flipped,
		"unsigned":      unsigned,
		"somebody else": bob.bundle(now, time.Hour),
		"expired":       alice.bundle(now.Add(-2*time.Hour), time.Hour),
		"future":        alice.bundle(now.Add(time.Hour), time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := alice.line.directory.PublishBundle(bearer(t, alice.token), &posthornv1.PublishBundleRequest{Bundle: bundle})
			wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadBundle)
			carol := o.newPerson("carol")
			request := carol.registration()
			request.Bundle = bundle
			_, err = carol.line.directory.Register(t.Context(), request)
			wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadBundle)
		})
	}
}

func TestV84BundleOlderThanStored(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	now := time.Now()
	publish := func(bundle []byte) error {
		_, err := alice.line.directory.PublishBundle(bearer(t, alice.token), &posthornv1.PublishBundleRequest{Bundle: bundle})
		return err
	}
	newest := alice.bundle(now.Add(time.Minute), time.Hour)
	if err := publish(newest); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, publish(alice.bundle(now.Add(time.Minute-time.Millisecond), time.Hour)), connect.CodeFailedPrecondition, api.ReasonOldBundle)
	got, err := alice.line.directory.FetchBundle(bearer(t, alice.token), bundleOf(alice))
	if err != nil || !bytes.Equal(got.GetBundle(), newest) {
		t.Fatalf("the newest bundle did not stay: %v", err)
	}
	if err := publish(newest); err != nil {
		t.Errorf("the same bundle again: %v", err)
	}
}

func TestV87NameTaken(t *testing.T) {
	o := open(t)
	o.join("alice")
	err := o.newPerson("alice").register()
	wantRefusal(t, err, connect.CodeAlreadyExists, api.ReasonNameTaken)
}

func TestV87AccountHasAName(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	alice.name = "alicia"
	wantRefusal(t, alice.register(), connect.CodeAlreadyExists, api.ReasonAccountExists)
	if err := o.newPerson("alicia").register(); err != nil {
		t.Errorf("the other name is lost: %v", err)
	}
}

// A client whose answer got lost registers again with the same keys.
func TestRegistrationMayBeRepeated(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	bob.sendAll(envelope(alice, "kept"))
	if err := alice.register(); err != nil {
		t.Fatal(err)
	}
	if got := alice.fetch(); len(got) != 1 || string(got[0].GetPayload()) != "kept" {
		t.Errorf("the mailbox of the first attempt is gone: %v", got)
	}
}

func TestV87RaceForAName(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{OpenRegistration: true})
		const racers = 8
		var people [racers]*person
		var requests [racers]*posthornv1.RegisterRequest
		for i := range people {
			people[i] = o.newPerson("alice")
			requests[i] = people[i].registration()
		}
		var running sync.WaitGroup
		var failures [racers]error
		for i, p := range people {
			running.Go(func() { _, failures[i] = p.line.directory.Register(t.Context(), requests[i]) })
		}
		running.Wait()
		winner := -1
		for i, err := range failures {
			if err == nil {
				if winner >= 0 {
					t.Fatalf("%d and %d both have the name", winner, i)
				}
				winner = i
				continue
			}
			wantRefusal(t, err, connect.CodeAlreadyExists, api.ReasonNameTaken)
		}
		if winner < 0 {
			t.Fatal("nobody has the name")
		}
		bob := o.join("bob")
		got, err := bob.line.directory.GetAccount(bearer(t, bob.token), byName("alice"))
		if err != nil || !bytes.Equal(got.GetAccountId(), people[winner].party.Account[:]) {
			t.Errorf("the name is not the winner's: %v", err)
		}
	})
}

// One account that races itself for many names ends with at most one, and the
// others stay free.
func TestV87RaceForManyNames(t *testing.T) {
	o := open(t)
	alice := o.newPerson("")
	var running sync.WaitGroup
	for i := range 8 {
		request := alice.registration()
		request.Name = fmt.Sprintf("alice%d", i)
		running.Go(func() { _, _ = alice.line.directory.Register(t.Context(), request) })
	}
	running.Wait()
	bob, bound := o.join("bob"), 0
	for i := range 8 {
		name := fmt.Sprintf("alice%d", i)
		_, err := bob.line.directory.GetAccount(bearer(t, bob.token), byName(name))
		if err == nil {
			bound++
			continue
		}
		if err := o.newPerson(name).register(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if bound != 1 {
		t.Errorf("the account has %d names", bound)
	}
}

// A registration that stopped half-way, by a crash, leaves the name free and
// can be taken up again.
func TestHalfRegistration(t *testing.T) {
	for _, kept := range []int{1, 2} {
		t.Run(fmt.Sprint(kept, " records"), func(t *testing.T) {
			s := &failing{Store: memory.New(), writes: 1 << 30}
			o := openOver(t, s, Options{OpenRegistration: true})
			alice, bob := o.newPerson("alice"), o.newPerson("alice")
			s.set(kept)
			wantRefusal(t, alice.register(), connect.CodeUnavailable, api.ReasonStorage)
			s.set(1 << 30)
			alice.name = "alicia"
			if err := alice.register(); err != nil {
				t.Errorf("the interrupted one, under another name: %v", err)
			}
			if err := bob.register(); err != nil {
				t.Errorf("somebody else, under the name: %v", err)
			}
		})
	}
}

// failing is a store whose directory writes stop after a number of them.
type failing struct {
	store.Store
	mu     sync.Mutex
	writes int
}

func (f *failing) set(writes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes = writes
}

func (f *failing) CAS(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	if f.fails(key) {
		return 0, store.ErrStopped
	}
	return f.Store.CAS(ctx, key, want, val)
}

func (f *failing) Note(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	if f.fails(key) {
		return 0, store.ErrStopped
	}
	return f.Store.Note(ctx, key, want, val)
}

// fails counts a write, but for those that the server makes by itself.
func (f *failing) fails(key string) bool {
	if key == keysKey || key == calendarKey {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes--
	return f.writes < 0
}

func TestV88RegistrationIsClosed(t *testing.T) {
	o := openOver(t, memory.New(), Options{})
	err := o.newPerson("alice").register()
	wantRefusal(t, err, connect.CodePermissionDenied, api.ReasonRegistrationClosed)
	if hint := detailOf(t, err).GetHint(); !strings.Contains(hint, "invite") {
		t.Errorf("the hint names no invite: %s", hint)
	}
}

func TestBadNames(t *testing.T) {
	o := open(t)
	for _, name := range []string{"", "ab", "Alice", "al ice", "alice@host", "älice", "alice/..", "a\x00b"} {
		wantRefusal(t, o.newPerson(name).register(), connect.CodeInvalidArgument, api.ReasonBadRequest)
	}
}
