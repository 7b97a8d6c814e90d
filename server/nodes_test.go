package server

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// shared are servers over one store, which people know under one address.
func shared(t *testing.T, n int) (all []*office) {
	s := memory.New()
	for range n {
		all = append(all, openOver(t, s, Options{OpenRegistration: true}))
	}
	return all
}

// at moves a person's connection to another node, under the same address.
func (p *person) at(o *office) *person {
	p.line = o.connectAs(p.audience, false)
	return p
}

// A device needs no particular node: it may get its challenge at one, answer it
// at a second and use the token at a third.
func TestLoginAcrossNodes(t *testing.T) {
	all := shared(t, 3)
	alice := all[0].join("alice")
	for i := range 9 {
		proof := alice.at(all[i%3]).proof()
		answer, err := alice.at(all[(i+i/3)%3]).line.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{Proof: proof})
		if err != nil {
			t.Fatalf("login %d: %v", i, err)
		}
		for _, o := range all {
			if _, err := alice.at(o).line.mailbox.Ack(bearer(t, answer.GetToken()), &posthornv1.AckRequest{}); err != nil {
				t.Errorf("login %d: %v", i, err)
			}
		}
	}
}

// A proof is good for one login in all, wherever it is shown, and however many
// nodes are asked at once.
func TestV80OneLoginForAllNodes(t *testing.T) {
	all := shared(t, 3)
	alice := all[0].join("alice")
	for round := range 5 {
		proof := alice.at(all[round%3]).proof()
		var accepted atomic.Int32
		var asked sync.WaitGroup
		for i := range 9 {
			l := all[i%3].connectAs(alice.audience, false)
			asked.Go(func() {
				_, err := l.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{Proof: proof})
				if err == nil {
					accepted.Add(1)
				} else if connect.CodeOf(err) != connect.CodeUnauthenticated {
					t.Error(err)
				}
			})
		}
		asked.Wait()
		if n := accepted.Load(); n != 1 {
			t.Errorf("round %d: %d logins with one proof", round, n)
		}
	}
}

// A recorded registration yields no second token at another node.
func TestV80RecordedRegistration(t *testing.T) {
	all := shared(t, 2)
	carol := all[0].newPerson("carol")
	request := carol.registration()
	if _, err := carol.line.directory.Register(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	answer, err := carol.at(all[1]).line.directory.Register(t.Context(), request)
	wantRefusal(t, err, connect.CodeUnauthenticated, api.ReasonBadProof)
	if answer.GetToken() != "" {
		t.Error("a token came with the refusal")
	}
}

// A token that is taken from the record stops working everywhere soon.
func TestV81RevokedEverywhere(t *testing.T) {
	s := memory.New()
	here := newTokens(s, &keyring{store: s})
	there := newTokens(s, &keyring{store: s})
	now, who := time.Now(), caller{box: store.Box{3}}
	text, _ := here.give(t, who, now)
	for _, node := range []*tokens{here, there} {
		if _, ok := node.works(t, text, now); !ok {
			t.Fatal("a token does not work")
		}
	}
	if err := changeLogins(t.Context(), s, s.CAS, who, func(r *loginRecord) error { r.tokens = nil; return nil }); err != nil {
		t.Fatal(err)
	}
	for i, node := range []*tokens{here, there} {
		if _, ok := node.works(t, text, now.Add(tokenTrust)); ok {
			t.Errorf("node %d lets a revoked token through", i)
		}
	}
}

// An invented token costs the store nothing.
func TestV81InventedTokens(t *testing.T) {
	_, held := newDesk()
	now := time.Now()
	text, _ := held.give(t, caller{box: store.Box{1}}, now)
	if err := held.store.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range text {
		b := []byte(text)
		b[i] ^= 1
		if _, ok := held.works(t, string(b), now); ok {
			t.Fatalf("accepted with character %d changed", i)
		}
	}
	if _, _, err := held.holder(t.Context(), "Bearer "+text, now.Add(tokenTrust)); err == nil {
		t.Error("a token of ours is decided without the store")
	}
}

// The keys change once a day while nodes hear of it at different times, and
// nobody is turned away for it.
func TestSharedKeysRotate(t *testing.T) {
	s, now := memory.New(), time.Now()
	quick, slow := newChallenges(&keyring{store: s}), newChallenges(&keyring{store: s})
	if !slow.spends(t, quick.fresh(t, now), now) {
		t.Fatal("nodes disagree from the start")
	}
	seen := map[string]bool{}
	for day := range 4 {
		now = now.Add(keyLife)
		slow.keys.read = now // it has just read the old ones
		if !slow.spends(t, quick.fresh(t, now), now) || !quick.spends(t, slow.fresh(t, now), now) {
			t.Fatalf("day %d: refused", day)
		}
		seen[fmt.Sprint(quick.keys.keys.current[:])] = true
		now = now.Add(keysFresh)
		slow.fresh(t, now)
		if slow.keys.keys.current != quick.keys.keys.current {
			t.Fatalf("day %d: the nodes never agree", day)
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d keys in four days", len(seen))
	}
}

// Nodes that start at once agree on the first keys.
func TestSharedKeysAreMadeOnce(t *testing.T) {
	s, now := memory.New(), time.Now()
	var got [8]sharedKeys
	var done sync.WaitGroup
	for i := range got {
		done.Go(func() { got[i], _ = (&keyring{store: s}).at(t.Context(), now) })
	}
	done.Wait()
	for i, k := range got {
		if k.current != got[0].current || k.made == 0 {
			t.Errorf("node %d has keys of its own", i)
		}
	}
}

// stalled is a store whose reads of the directory fail, and are counted.
type stalled struct {
	store.Store
	asked atomic.Int64
}

func (s *stalled) Get(context.Context, string) ([]byte, uint64, error) {
	s.asked.Add(1)
	return nil, 0, store.ErrStopped
}

// While the store is away a node goes by the keys that it has, and asks for them
// now and then, not at every message.
func TestKeysWhileTheStoreIsAway(t *testing.T) {
	keys, now := &keyring{store: memory.New()}, time.Now()
	had, err := keys.at(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	away := &stalled{}
	keys.store = away
	for i := range int64(3) {
		now = now.Add(keysFresh)
		for range 50 {
			if got, err := keys.at(t.Context(), now); err != nil || got.current != had.current {
				t.Fatalf("other keys, %v", err)
			}
		}
		if n := away.asked.Load(); n != i+1 {
			t.Fatalf("the store was asked %d times in %d minutes", n, i+1)
		}
	}
}
