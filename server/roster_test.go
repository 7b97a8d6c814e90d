package server

import (
	"crypto/rand"
	"errors"
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

// sibling is another device of the same person, which no roster knows yet.
func (p *person) sibling() *person {
	p.t.Helper()
	key, _ := account.GenerateSigningKey(func(b []byte) { _, _ = rand.Read(b) })
	device := &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3, account.PQ3A}, CreatedAt: 1}
	_, _ = rand.Read(device.ID[:])
	return &person{
		t: p.t, name: p.name, key: key, party: account.Party{Account: p.party.Account, Device: device},
		statement: p.statement, line: p.line, audience: p.audience,
	}
}

// roster is the person's account with some statements after the first.
func (p *person) roster(statements ...[]byte) *account.Roster {
	p.t.Helper()
	r, err := account.ReplayRoster(append([][]byte{p.statement}, statements...))
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// author signs as this device.
func (p *person) author() account.Author {
	return account.Author{Device: &p.party.Device.ID, Key: p.key}
}

// change proposes the next statement after those given.
func (p *person) change(after *account.Roster, author account.Author, added []*person, ops ...account.Operation) *posthornv1.UpdateRosterRequest {
	p.t.Helper()
	var keys []*account.SigningKey
	request := &posthornv1.UpdateRosterRequest{}
	for _, a := range added {
		keys, ops = append(keys, a.key), append(ops, account.AddDevice{Device: a.party.Device})
		request.Bundles = append(request.Bundles, a.bundle(time.Now(), 24*time.Hour))
	}
	s, err := after.Propose(author, keys, 1, rand.Reader, ops...)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Statement = s.Marshal()
	return request
}

// linking adds a device with the person's second statement.
func (p *person) linking(other *person) *posthornv1.UpdateRosterRequest {
	p.t.Helper()
	return p.change(p.roster(), p.author(), []*person{other})
}

func (p *person) update(request *posthornv1.UpdateRosterRequest) error {
	_, err := p.line.directory.UpdateRoster(p.t.Context(), request)
	return err
}

func (p *person) mustUpdate(request *posthornv1.UpdateRosterRequest) {
	p.t.Helper()
	if err := p.update(request); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) mustLogin() {
	p.t.Helper()
	if err := p.login(); err != nil {
		p.t.Fatal(err)
	}
}

func TestADeviceIsAddedAndRemoved(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{OpenRegistration: true})
		alice, bob := o.join("alice"), o.join("bob")
		laptop := alice.sibling()
		if err := laptop.login(); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Fatalf("a device of no roster: %v", err)
		}
		added := alice.linking(laptop)
		alice.mustUpdate(added)
		laptop.mustLogin()
		bob.sendAll(envelope(alice, "to the first"), envelope(laptop, "to the second"))
		if got := laptop.fetch(); len(got) != 1 || string(got[0].GetPayload()) != "to the second" {
			t.Fatalf("the new device fetched %v", got)
		}
		answer, err := bob.line.directory.GetAccount(bearer(t, bob.token), byName("alice"))
		if err != nil || len(answer.GetStatements()) != 2 {
			t.Fatalf("%d statements, %v", len(answer.GetStatements()), err)
		}
		stream := laptop.listen()
		stream.catchUp()
		box := boxOf(t, o, laptop)
		alice.mustUpdate(alice.change(alice.roster(added.GetStatement()), alice.author(), nil, account.RemoveDevice{ID: laptop.party.Device.ID}))

		_, err = stream.stream.Receive()
		wantRefusal(t, err, connect.CodePermissionDenied, api.ReasonDeviceRemoved)
		if _, err := laptop.send(envelope(bob, "I am still here")); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("the removed device's token: %v", err)
		}
		if _, _, err := o.store.Read(t.Context(), box, 0, 1, 1); !errors.Is(err, store.ErrGone) {
			t.Errorf("its mailbox: %v", err)
		}
		_, err = bob.line.directory.FetchBundle(bearer(t, bob.token), bundleOf(laptop))
		wantRefusal(t, err, connect.CodeNotFound, api.ReasonNoBundle)
		statuses, err := bob.send(envelope(laptop, "x"), envelope(alice, "y"))
		if err != nil || statuses[0] != posthornv1.SendStatus_SEND_STATUS_UNKNOWN_DEVICE || statuses[1] != posthornv1.SendStatus_SEND_STATUS_ACCEPTED {
			t.Errorf("sending to it: %v, %v", statuses, err)
		}
	})
}

func TestV218ARemovedDeviceLearnsIt(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	laptop := alice.sibling()
	added := alice.linking(laptop)
	alice.mustUpdate(added)
	alice.mustUpdate(alice.change(alice.roster(added.GetStatement()), alice.author(), nil, account.RemoveDevice{ID: laptop.party.Device.ID}))
	wantRefusal(t, laptop.login(), connect.CodePermissionDenied, api.ReasonDeviceRemoved)
	forged := laptop.proof()
	forged.MldsaSignature[5] ^= 1
	_, err := laptop.line.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{Proof: forged})
	wantRefusal(t, err, connect.CodeUnauthenticated, api.ReasonBadProof)
}

// Two devices that change the account at once: one wins, the other is told.
func TestV215RaceOfTwoDevices(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{OpenRegistration: true})
		alice := o.join("alice")
		laptop := alice.sibling()
		first := alice.linking(laptop)
		alice.mustUpdate(first)
		roster := alice.roster(first.GetStatement())
		var racing sync.WaitGroup
		requests, results := make([]*posthornv1.UpdateRosterRequest, 6), make([]error, 6)
		for i := range requests {
			by := []*person{alice, laptop}[i%2]
			requests[i] = alice.change(roster, by.author(), []*person{alice.sibling()})
		}
		for i := range requests {
			racing.Go(func() { results[i] = alice.update(requests[i]) })
		}
		racing.Wait()
		won := -1
		for i, err := range results {
			if err != nil {
				wantRefusal(t, err, connect.CodeFailedPrecondition, api.ReasonRosterChanged)
			} else if won >= 0 {
				t.Fatal("two statements have one number")
			} else {
				won = i
			}
		}
		if won < 0 {
			t.Fatal("nobody won")
		}
		if err := alice.update(requests[won]); err != nil {
			t.Errorf("the winner's again: %v", err)
		}
		if u := o.users()["alice"]; u.Devices != 3 {
			t.Errorf("%d devices", u.Devices)
		}
	})
}

// A statement that stopped half-way is finished by the next call with it, at
// whichever write it stopped.
func TestAnInterruptedUpdateIsRepeated(t *testing.T) {
	for writes := range 5 {
		t.Run(fmt.Sprint(writes, " writes"), func(t *testing.T) {
			s := &failing{Store: memory.New(), writes: 1 << 30}
			o := openOver(t, s, Options{OpenRegistration: true})
			alice := o.join("alice")
			laptop, phone, tablet := alice.sibling(), alice.sibling(), alice.sibling()
			first := alice.change(alice.roster(), alice.author(), []*person{laptop, tablet})
			alice.mustUpdate(first)
			laptop.mustLogin()
			swap := alice.change(alice.roster(first.GetStatement()), alice.author(), []*person{phone}, account.RemoveDevice{ID: laptop.party.Device.ID})
			s.set(writes)
			err := alice.update(swap)
			s.set(1 << 30)
			if writes < 4 {
				wantRefusal(t, err, connect.CodeUnavailable, api.ReasonStorage)
			}
			alice.mustUpdate(swap)
			phone.mustLogin()
			wantRefusal(t, laptop.login(), connect.CodePermissionDenied, api.ReasonDeviceRemoved)
			if _, err := laptop.send(envelope(alice, "x")); connect.CodeOf(err) != connect.CodeUnauthenticated {
				t.Errorf("the removed device's token: %v", err)
			}
		})
	}
}

// What an interrupted removal has left of a device ends at its next login.
func TestAnInterruptedRemovalEndsWhenTheDeviceComes(t *testing.T) {
	s := &failing{Store: memory.New(), writes: 1 << 30}
	o := openOver(t, s, Options{OpenRegistration: true})
	alice := o.join("alice")
	laptop := alice.sibling()
	first := alice.linking(laptop)
	alice.mustUpdate(first)
	laptop.mustLogin()
	s.set(1)
	removal := alice.change(alice.roster(first.GetStatement()), alice.author(), nil, account.RemoveDevice{ID: laptop.party.Device.ID})
	wantRefusal(t, alice.update(removal), connect.CodeUnavailable, api.ReasonStorage)
	s.set(1 << 30)
	box := boxOf(t, o, laptop)
	wantRefusal(t, laptop.login(), connect.CodePermissionDenied, api.ReasonDeviceRemoved)
	if _, _, err := o.store.Read(t.Context(), box, 0, 1, 1); !errors.Is(err, store.ErrGone) {
		t.Errorf("its mailbox: %v", err)
	}
	if _, err := laptop.send(envelope(alice, "x")); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("its token: %v", err)
	}
}

func TestV82StatementsThatDoNotVerify(t *testing.T) {
	o := open(t)
	alice, mallory := o.join("alice"), o.join("mallory")
	laptop := alice.sibling()
	good := alice.linking(laptop)
	flipped := append([]byte(nil), good.GetStatement()...)
	flipped[len(flipped)-1] ^= 1
	before := dump(t, o.store)
	for name, c := range map[string]struct {
		request *posthornv1.UpdateRosterRequest
		reason  string
	}{
		"garbage":             {&posthornv1.UpdateRosterRequest{Statement: []byte("x")}, api.ReasonBadStatement},
		"statement 0":         {&posthornv1.UpdateRosterRequest{Statement: alice.statement}, api.ReasonBadStatement},
		"a flipped bit":       {&posthornv1.UpdateRosterRequest{Statement: flipped, Bundles: good.GetBundles()}, api.ReasonBadStatement},
		"no bundle":           {&posthornv1.UpdateRosterRequest{Statement: good.GetStatement()}, api.ReasonBadRequest},
		"somebody's bundle":   {&posthornv1.UpdateRosterRequest{Statement: good.GetStatement(), Bundles: [][]byte{mallory.bundle(time.Now(), time.Hour)}}, api.ReasonBadBundle},
		"one bundle too many": {&posthornv1.UpdateRosterRequest{Statement: good.GetStatement(), Bundles: [][]byte{good.GetBundles()[0], good.GetBundles()[0]}}, api.ReasonBadRequest},
	} {
		err := alice.update(c.request)
		wantRefusal(t, err, connect.CodeInvalidArgument, c.reason)
		if after := dump(t, o.store); after != before {
			t.Errorf("%s had an effect", name)
		}
	}
}

// What the sender believes is older than the roster: nothing for that account is
// stored, and the rest is.
func TestStaleClaims(t *testing.T) {
	o := open(t)
	alice, bob, carol := o.join("alice"), o.join("bob"), o.join("carol")
	laptop := alice.sibling()
	claim := func(seq uint64) []*posthornv1.RosterClaim {
		return []*posthornv1.RosterClaim{{AccountId: alice.party.Account[:], Seq: seq}, {AccountId: make([]byte, 48), Seq: 3}}
	}
	send := func(seq uint64) []posthornv1.SendStatus {
		answer, err := bob.line.mailbox.Send(bearer(t, bob.token), &posthornv1.SendRequest{
			Envelopes: []*posthornv1.Envelope{envelope(alice, "a"), envelope(carol, "c")}, Claims: claim(seq),
		})
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetStatuses()
	}
	const accepted, stale = posthornv1.SendStatus_SEND_STATUS_ACCEPTED, posthornv1.SendStatus_SEND_STATUS_STALE_ROSTER
	if got := send(0); got[0] != accepted || got[1] != accepted {
		t.Errorf("the newest roster: %v", got)
	}
	alice.mustUpdate(alice.linking(laptop))
	if got := send(0); got[0] != stale || got[1] != accepted {
		t.Errorf("an older roster: %v", got)
	}
	if got := send(1); got[0] != accepted || got[1] != accepted {
		t.Errorf("after another look: %v", got)
	}
	if got := alice.fetch(); len(got) != 2 {
		t.Errorf("%d envelopes arrived, 2 were accepted", len(got))
	}
}

// recovering is an account with a recovery key.
func recovering(t *testing.T, o *office) (*person, *account.SigningKey, *account.Roster) {
	t.Helper()
	alice := o.join("alice")
	key, _ := account.GenerateSigningKey(func(b []byte) { _, _ = rand.Read(b) })
	set := alice.change(alice.roster(), alice.author(), nil, account.SetRecovery{Key: key.Public()})
	alice.mustUpdate(set)
	return alice, key, alice.roster(set.GetStatement())
}

func holdFor(t *testing.T, id account.ID, key *account.SigningKey, at time.Time) *posthornv1.HoldAccountRequest {
	t.Helper()
	hold, err := account.SignHold(account.Hold{Account: id, At: uint64(at.UnixMilli())}, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &posthornv1.HoldAccountRequest{Hold: hold}
}

// While the recovery key holds an account, no device changes it, and the
// recovery key does, from a machine that is no device of it.
func TestV219AHeldAccount(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{OpenRegistration: true})
		alice, key, roster := recovering(t, o)
		phone := alice.sibling()
		byThief := alice.change(roster, alice.author(), []*person{alice.sibling()})
		answer, err := alice.line.directory.HoldAccount(t.Context(), holdFor(t, alice.party.Account, key, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(time.UnixMilli(int64(answer.GetUntil()))); left < 59*time.Minute || left > time.Hour {
			t.Errorf("held for %v", left)
		}
		wantRefusal(t, alice.update(byThief), connect.CodeFailedPrecondition, api.ReasonAccountHeld)
		rescue := alice.change(roster, account.Author{Key: key}, []*person{phone}, account.RemoveDevice{ID: alice.party.Device.ID})
		alice.mustUpdate(rescue)
		phone.mustLogin()
		wantRefusal(t, alice.login(), connect.CodePermissionDenied, api.ReasonDeviceRemoved)
	})
}

// A hold ends, and a copy of it does not begin it again.
func TestAHoldEnds(t *testing.T) {
	o := open(t)
	alice, key, roster := recovering(t, o)
	early := time.Now().Add(-holdSkew + time.Minute)
	request := holdFor(t, alice.party.Account, key, early)
	var until [2]uint64
	for i := range until {
		answer, err := alice.line.directory.HoldAccount(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		until[i] = answer.GetUntil()
	}
	if until[0] != until[1] || until[0] != uint64(early.Add(holdTime).UnixMilli()) {
		t.Errorf("held until %d, again until %d", until[0], until[1])
	}
	record, _, err := o.srv.auth.directory.account(t.Context(), alice.party.Account)
	if err != nil {
		t.Fatal(err)
	}
	next := alice.change(roster, alice.author(), []*person{alice.sibling()})
	statement, err := account.ParseStatement(next.GetStatement())
	if err != nil {
		t.Fatal(err)
	}
	service := &directoryService{directory: o.srv.auth.directory}
	if _, err := service.follows(t.Context(), record, roster, statement, early.Add(holdTime)); err != nil {
		t.Errorf("after its end: %v", err)
	}
	if _, err := service.follows(t.Context(), record, roster, statement, early.Add(holdTime-time.Millisecond)); err == nil {
		t.Error("a device's statement passed just before its end")
	}
}

func TestV217HoldsThatAreRefused(t *testing.T) {
	o := open(t)
	alice, key, _ := recovering(t, o)
	now, id := time.Now(), alice.party.Account
	before := dump(t, o.store)
	for name, request := range map[string]*posthornv1.HoldAccountRequest{
		"by a device":  holdFor(t, id, alice.key, now),
		"too early":    holdFor(t, id, key, now.Add(-holdSkew-time.Minute)),
		"too late":     holdFor(t, id, key, now.Add(holdSkew+time.Minute)),
		"of nobody":    {},
		"cut off":      {Hold: holdFor(t, id, key, now).GetHold()[:100]},
		"only its end": {Hold: []byte(strings.Repeat("x", 200))},
	} {
		_, err := alice.line.directory.HoldAccount(t.Context(), request)
		if code := connect.CodeOf(err); code != connect.CodeInvalidArgument && code != connect.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
		if dump(t, o.store) != before {
			t.Errorf("%s had an effect", name)
		}
	}
}

// An account that is shut out stays so: no statement gives it a device that
// could log in, and a deleted one takes none.
func TestDisabledAndDeletedAccountsStayAsTheyAre(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	request := alice.linking(alice.sibling())
	if err := o.srv.Disable(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, alice.update(request), connect.CodePermissionDenied, api.ReasonAccountDisabled)
	if err := o.srv.Delete(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, alice.update(request), connect.CodeNotFound, api.ReasonUnknownAccount)
}

func TestV216AFullRosterStillLosesDevices(t *testing.T) {
	record := accountRecord{statements: [][]byte{make([]byte, roomyRoster)}}
	o := open(t)
	alice := o.join("alice")
	laptop := alice.sibling()
	first := alice.linking(laptop)
	roster := alice.roster(first.GetStatement())
	parse := func(request *posthornv1.UpdateRosterRequest) *account.Statement {
		s, err := account.ParseStatement(request.GetStatement())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if !full(record, parse(first), true) {
		t.Error("a full roster takes a device")
	}
	removal := parse(alice.change(roster, alice.author(), nil, account.RemoveDevice{ID: laptop.party.Device.ID}))
	if full(record, removal, true) {
		t.Error("no device can be removed any more")
	}
	record.statements = append(record.statements, make([]byte, fullRoster-roomyRoster))
	if !full(record, removal, true) {
		t.Error("a roster has no end")
	}
}
