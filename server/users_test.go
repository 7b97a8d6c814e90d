package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// users lists everybody, by name.
func (o *office) users() map[account.Name]User {
	o.t.Helper()
	all := map[account.Name]User{}
	for after := ""; ; {
		page, next, err := o.srv.Users(o.t.Context(), after)
		if err != nil {
			o.t.Fatal(err)
		}
		for _, u := range page {
			all[u.Name] = u
		}
		if after = next; next == "" {
			return all
		}
	}
}

func TestUsersAreListed(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{OpenRegistration: true})
		alice, bob := o.join("alice"), o.join("bob")
		for i := range 5 {
			alice.sendAll(envelope(bob, fmt.Sprint(i)))
		}
		bob.ack(2)
		got := o.users()
		want := User{Name: "bob", Account: bob.party.Account, Devices: 1, Queued: 3}
		if len(got) != 2 || got["bob"] != want || got["alice"].Queued != 0 || got["alice"].Account != alice.party.Account {
			t.Errorf("%+v", got)
		}
	})
}

func TestUsersAreListedInPages(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	// Accounts whose registration was never finished fill pages and are not listed.
	for i := range usersPage + 5 {
		id := account.ID{byte(i), byte(i >> 8)}
		if _, err := o.store.CAS(t.Context(), accountKey(id), 0, accountRecord{name: "alice", statements: [][]byte{alice.statement}}.marshal()); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.users(); len(got) != 1 || got["alice"].Devices != 1 {
		t.Errorf("%+v", got)
	}
}

// shutOutOf checks that a person can do nothing any more.
func (p *person) shutOutOf(reason string, code connect.Code) {
	p.t.Helper()
	_, err := p.line.mailbox.Ack(bearer(p.t, p.token), &posthornv1.AckRequest{Seq: 1})
	wantRefusal(p.t, err, connect.CodeUnauthenticated, api.ReasonNoToken)
	wantRefusal(p.t, p.login(), code, reason)
}

// TestV155DisabledAccount: tokens, streams and logins end at once; what others
// send is kept; enabling brings all back.
func TestV155DisabledAccount(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{OpenRegistration: true})
		alice, bob := o.join("alice"), o.join("bob")
		token := bob.token
		ear := bob.listen()
		ear.catchUp()
		for range 2 { // the second time finishes what was interrupted
			if err := o.srv.Disable(t.Context(), "bob"); err != nil {
				t.Fatal(err)
			}
		}
		_, err := ear.stream.Receive()
		wantRefusal(t, err, connect.CodePermissionDenied, api.ReasonAccountDisabled)
		bob.shutOutOf(api.ReasonAccountDisabled, connect.CodePermissionDenied)
		wantRefusal(t, bob.register(), connect.CodePermissionDenied, api.ReasonAccountDisabled)
		if u := o.users()["bob"]; !u.Disabled {
			t.Errorf("listed as %+v", u)
		}
		alice.sendAll(envelope(bob, "kept"))
		if _, err := alice.line.directory.GetAccount(bearer(t, alice.token), byName("bob")); err != nil {
			t.Errorf("looking it up: %v", err)
		}
		if err := o.srv.Enable(t.Context(), "bob"); err != nil {
			t.Fatal(err)
		}
		if _, err := bob.line.mailbox.Ack(bearer(t, token), &posthornv1.AckRequest{}); err == nil {
			t.Error("a token from before works again")
		}
		if err := bob.login(); err != nil {
			t.Fatal(err)
		}
		if got := bob.fetch(); len(got) != 1 || string(got[0].GetPayload()) != "kept" {
			t.Errorf("fetched %v", got)
		}
	})
}

// A server that has just started, and one beside it, know who is disabled.
func TestDisabledAtAnotherNode(t *testing.T) {
	s := memory.New()
	one, two := openOver(t, s, Options{OpenRegistration: true}), openOver(t, s, Options{OpenRegistration: true})
	bob := one.join("bob")
	if err := two.srv.Disable(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, bob.login(), connect.CodePermissionDenied, api.ReasonAccountDisabled)
	ctx, over := one.srv.access.live.track(t.Context(), one.boxOf(bob))
	defer over()
	one.srv.access.live.compare(t.Context(), s)
	if ctx.Err() == nil {
		t.Error("a stream at the other node goes on")
	}
}

// What one node has shut out another lets in again, at both.
func TestEnabledAtAnotherNode(t *testing.T) {
	s := memory.New()
	one, two := openOver(t, s, Options{OpenRegistration: true}), openOver(t, s, Options{OpenRegistration: true})
	alice, bob := one.join("alice"), one.join("bob")
	if err := one.srv.Disable(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	if err := two.srv.Enable(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	if err := bob.login(); err != nil {
		t.Fatal(err)
	}
	ear := bob.listen()
	ear.catchUp()
	alice.sendAll(envelope(bob, "hello again"))
	if got := ear.next().GetDeliveries(); len(got) != 1 {
		t.Errorf("%d envelopes on the stream", len(got))
	}
}

// An account that could not be disabled works on as if nobody had tried.
func TestFailedDisableChangesNothing(t *testing.T) {
	failing := &failing{Store: memory.New(), writes: 1 << 30}
	o := openOver(t, failing, Options{OpenRegistration: true})
	bob := o.join("bob")
	open := bob.listen()
	open.catchUp()
	failing.set(0)
	err := o.srv.Disable(t.Context(), "bob")
	failing.set(1 << 30)
	if !errors.Is(err, store.ErrStopped) {
		t.Fatalf("%v", err)
	}
	if _, err := bob.line.mailbox.Ack(bearer(t, bob.token), &posthornv1.AckRequest{}); err != nil {
		t.Errorf("its token: %v", err)
	}
	bob.listen().catchUp()
	if o.users()["bob"].Disabled {
		t.Error("listed as disabled")
	}
}

// A call that was admitted just before its device was shut out opens no stream.
func TestV155StreamThatBeginsMeanwhile(t *testing.T) {
	o := open(t)
	bob := o.join("bob")
	box := o.boxOf(bob)
	if err := o.srv.Disable(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), callerKey{}, caller{bob.party.Account, bob.party.Device.ID, box})
	err := o.srv.access.stream(ctx, connect.Spec{}, nil, func(context.Context, connect.Spec, connect.ServerStream) error {
		t.Error("the stream runs")
		return nil
	})
	wantRefusal(t, err, connect.CodePermissionDenied, api.ReasonAccountDisabled)
}

// What the store said of a device before the device was shut out is not
// remembered after it.
func TestV81AnswersFromBeforeAreNotRemembered(t *testing.T) {
	_, held := newDesk()
	now, who := time.Now(), caller{box: store.Box{1}}
	asked := held.asked()
	held.askAgain(who.box)
	held.remember([32]byte{1}, grant{who, now.Add(time.Hour), now.Add(time.Hour)}, asked, now)
	held.remember([32]byte{2}, grant{who, now.Add(time.Hour), now.Add(time.Hour)}, held.asked(), now)
	if _, late := held.known[[32]byte{1}]; late || len(held.known) != 1 {
		t.Errorf("%d remembered, the late one: %v", len(held.known), late)
	}
}

// deleting is a store in which an account is deleted at a certain read.
type deleting struct {
	store.Store
	key    string // the account's record
	reads  int    // of it, until during is called
	during func()
}

func (d *deleting) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if key == d.key {
		if d.reads--; d.reads == 0 {
			d.during()
		}
	}
	return d.Store.Get(ctx, key)
}

// An account that is deleted while a page is read is passed over, and the
// others are listed.
func TestUsersAreListedWhileOneIsDeleted(t *testing.T) {
	d := &deleting{Store: memory.New()}
	o := openOver(t, d, Options{OpenRegistration: true})
	o.join("alice")
	for read := 1; read <= 2; read++ {
		bob := o.join(fmt.Sprintf("bob%d", read))
		d.reads, d.key = read, accountKey(bob.party.Account)
		d.during = func() {
			if err := o.srv.Delete(t.Context(), account.Name(bob.name)); err != nil {
				t.Error(err)
			}
		}
		if got := o.users(); len(got) != 1 || got["alice"].Devices != 1 {
			t.Errorf("read %d: %+v", read, got)
		}
		d.key = ""
	}
}

func (o *office) boxOf(p *person) store.Box {
	o.t.Helper()
	r, _, err := o.srv.auth.directory.device(o.t.Context(), p.party.Account, p.party.Device.ID)
	if err != nil {
		o.t.Fatal(err)
	}
	return r.box
}

func TestDeletedAccount(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{OpenRegistration: true})
		alice, bob := o.join("alice"), o.join("bob")
		alice.sendAll(envelope(bob, "never read"))
		box := o.boxOf(bob)
		ear := bob.listen()
		ear.catchUp()
		for range 2 {
			if err := o.srv.Delete(t.Context(), "bob"); err != nil {
				t.Fatal(err)
			}
		}
		_, err := ear.stream.Receive()
		wantRefusal(t, err, connect.CodePermissionDenied, api.ReasonAccountDisabled)
		bob.shutOutOf(api.ReasonBadProof, connect.CodeUnauthenticated)
		if _, _, err := s.Read(t.Context(), box, 0, 1, 1); !errors.Is(err, store.ErrGone) {
			t.Errorf("the mailbox: %v", err)
		}
		if got := o.users(); len(got) != 1 {
			t.Errorf("listed: %+v", got)
		}
		_, err = alice.line.directory.GetAccount(bearer(t, alice.token), byName("bob"))
		wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAccount)
		_, err = alice.line.directory.GetAccount(bearer(t, alice.token), byID(bob.party.Account[:]))
		wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAccount)
		statuses, err := alice.send(envelope(bob, "to nobody"))
		if err != nil || statuses[0] == posthornv1.SendStatus_SEND_STATUS_ACCEPTED {
			t.Errorf("sending: %v, %v", statuses, err)
		}
		wantRefusal(t, o.newPerson("bob").register(), connect.CodeAlreadyExists, api.ReasonNameTaken)
		wantRefusal(t, bob.register(), connect.CodeAlreadyExists, api.ReasonNameTaken)
		bob.name = "robert"
		wantRefusal(t, bob.register(), connect.CodePermissionDenied, api.ReasonAccountDisabled)
		for _, e := range o.records() {
			if err := CheckRecord(e.Key, e.Val); err != nil {
				t.Errorf("what is left: %v", err)
			}
		}
	})
}

func (o *office) records() []store.Entry {
	o.t.Helper()
	all, err := o.store.Scan(o.t.Context(), "", "", 1000)
	if err != nil {
		o.t.Fatal(err)
	}
	return all
}

// A deletion stops after each of its writes in turn. From the first on the
// account is shut out, and the same command finishes it.
func TestAnInterruptedDeletionIsFinished(t *testing.T) {
	for writes := range 4 {
		failing := &failing{Store: memory.New(), writes: 1 << 30}
		o := openOver(t, failing, Options{OpenRegistration: true})
		bob := o.join("bob")
		failing.set(writes)
		err := o.srv.Delete(t.Context(), "bob")
		failing.set(1 << 30)
		if (err == nil) != (writes == 3) {
			t.Fatalf("with %d writes: %v", writes, err)
		}
		if writes > 0 {
			if err := bob.login(); err == nil {
				t.Errorf("after %d writes bob logs in", writes)
			}
		}
		if err := o.srv.Delete(t.Context(), "bob"); err != nil {
			t.Errorf("after %d writes, again: %v", writes, err)
		}
		if got := o.users(); len(got) != 0 {
			t.Errorf("after %d writes, finished: %+v", writes, got)
		}
		if counted, err := o.store.Stats(t.Context()); err != nil || counted.Mailboxes != 0 {
			t.Errorf("after %d writes, finished: %+v, %v", writes, counted, err)
		}
		wantRefusal(t, o.newPerson("bob").register(), connect.CodeAlreadyExists, api.ReasonNameTaken)
	}
}

// crossing is a store in which something happens just before or just after the
// first write of a record whose key begins with a prefix.
type crossing struct {
	store.Store
	before, after func() // each once
	prefix        string
	boxes         []store.Box // that were opened
}

func (c *crossing) Create(ctx context.Context, box store.Box, limits store.Limits) error {
	c.boxes = append(c.boxes, box)
	return c.Store.Create(ctx, box, limits)
}

// wantNoBox fails if a mailbox of anybody is left.
func (c *crossing) wantNoBox(t *testing.T, when string) {
	t.Helper()
	for _, box := range c.boxes {
		if _, _, err := c.Read(t.Context(), box, 0, 1, 1); !errors.Is(err, store.ErrGone) {
			t.Errorf("%s: a mailbox is left: %v", when, err)
		}
	}
}

// everyStore is stores with a database, where the machine has PostgreSQL.
func everyStore(t *testing.T, story func(t *testing.T, s store.Store)) {
	stores(t, story)
	t.Run("postgres", func(t *testing.T) {
		s, err := postgres.Open(t.Context(), pgtest.New(t).URL("postgres"), postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		story(t, s)
	})
}

func (c *crossing) CAS(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	if !strings.HasPrefix(key, c.prefix) {
		return c.Store.CAS(ctx, key, want, val)
	}
	before, after := c.before, c.after
	if before != nil {
		c.before = nil
		before()
	}
	ver, err := c.Store.CAS(ctx, key, want, val)
	if after != nil {
		c.after = nil
		after()
	}
	return ver, err
}

// A device is added while its account is deleted, at every point of the addition:
// nothing of it is left, whichever of the two comes first, and nobody is told that
// it worked.
func TestDeviceAddedWhileItsAccountIsDeleted(t *testing.T) {
	everyStore(t, func(t *testing.T, s store.Store) {
		c := &crossing{Store: s}
		o := openOver(t, c, Options{OpenRegistration: true})
		for i, point := range []string{"before the device's record", "after it", "before the account's record"} {
			name := fmt.Sprintf("alice%d", i)
			alice := o.join(name)
			phone := alice.sibling()
			request := alice.change(alice.roster(), alice.author(), []*person{phone})
			deleted := func() {
				if err := o.srv.Delete(t.Context(), account.Name(name)); err != nil {
					t.Errorf("%s: delete: %v", point, err)
				}
			}
			c.prefix = deviceKey(alice.party.Account, phone.party.Device.ID)
			switch i {
			case 0:
				c.before = deleted
			case 1:
				c.after = deleted
			default:
				c.prefix, c.before = accountKey(alice.party.Account), deleted
			}
			wantRefusal(t, alice.update(request), connect.CodeNotFound, api.ReasonUnknownAccount)
			c.wantNoBox(t, point)
			for _, party := range []account.Party{alice.party, phone.party} {
				if _, _, err := o.srv.auth.directory.device(t.Context(), party.Account, party.Device.ID); !errors.Is(err, errDeleted) {
					t.Errorf("%s: a device's record: %v", point, err)
				}
			}
		}
	})
}

// What a server that stopped has left of an addition goes when the deletion looks a
// second time, before its end, or when it is run again.
func TestDeletionFindsWhatAStoppedServerLeft(t *testing.T) {
	everyStore(t, func(t *testing.T, s store.Store) {
		for i, point := range []string{"during the deletion", "after it"} {
			c := &crossing{Store: s}
			o := openOver(t, c, Options{OpenRegistration: true})
			alice := o.join(fmt.Sprintf("alice%d", i))
			phone := alice.sibling()
			left := func() {
				r := deviceRecord{box: store.Box{7, byte(i)}, bundle: phone.bundle(time.Now(), time.Hour)}
				if err := c.Create(t.Context(), r.box, store.Limits{}); err != nil {
					t.Error(err)
				}
				if _, err := s.CAS(t.Context(), deviceKey(phone.party.Account, phone.party.Device.ID), 0, r.marshal()); err != nil {
					t.Error(err)
				}
			}
			remove := func() {
				if err := o.srv.Delete(t.Context(), account.Name(alice.name)); err != nil {
					t.Fatal(err)
				}
			}
			if c.prefix = accountKey(alice.party.Account); i == 0 {
				c.before = left
			}
			if remove(); i == 1 {
				left()
				remove()
			}
			c.wantNoBox(t, point)
		}
	})
}

func TestNobodyToDisable(t *testing.T) {
	o := open(t)
	for name, do := range map[string]func() error{
		"disable": func() error { return o.srv.Disable(t.Context(), "nobody") },
		"enable":  func() error { return o.srv.Enable(t.Context(), "nobody") },
		"delete":  func() error { return o.srv.Delete(t.Context(), "nobody") },
	} {
		if err := do(); !errors.Is(err, ErrNoUser) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
