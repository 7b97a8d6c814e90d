package account

import (
	"bytes"
	"errors"
	"testing"
)

// start is an account with one device.
func start(t testing.TB, alice actor) *Roster {
	t.Helper()
	s, err := NewAccount(alice.Device, alice.key, millis(testTime), nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := StartRoster(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// grow applies operations that must be allowed.
func grow(t testing.TB, r *Roster, by Author, added []*SigningKey, ops ...Operation) *Roster {
	t.Helper()
	s, err := r.Propose(by, added, millis(testTime), nil, ops...)
	if err != nil {
		t.Fatal(err)
	}
	next, err := r.Apply(s)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// refused proposes operations that must not be allowed, and asks that the
// roster is still what it was.
func refused(t testing.TB, r *Roster, by Author, added []*SigningKey, check string, ops ...Operation) {
	t.Helper()
	head, devices := r.Head(), len(r.Devices())
	_, err := r.Propose(by, added, millis(testTime), nil, ops...)
	wantCheck(t, err, check, ErrRoster)
	if r.Head() != head || len(r.Devices()) != devices {
		t.Errorf("%s: a refused statement changed the roster", check)
	}
}

func TestRosterReplaysToItself(t *testing.T) {
	alice, laptop, recovery := newActor("phone"), newActor("laptop"), newActor("recovery")
	r := start(t, alice)
	r = grow(t, r, alice.author(), []*SigningKey{laptop.key}, AddDevice{laptop.Device}, SetRecovery{recovery.Key})
	r = grow(t, r, laptop.author(), nil, RenameDevice{alice.ID, []byte("old phone")})
	r = grow(t, r, laptop.author(), nil, RemoveDevice{alice.ID})
	r = grow(t, r, Author{Key: recovery.key}, nil, ClearRecovery{})
	again, err := ReplayRoster(r.Statements())
	if err != nil || again.Head() != r.Head() || again.ID() != r.ID() || again.Seq() != 4 || again.Recovery() != nil {
		t.Fatalf("replayed to %+v, %v", again, err)
	}
	if _, ok := again.Device(alice.ID); ok || len(again.Devices()) != 1 {
		t.Error("the removed device is still there")
	}
	for _, raw := range r.Statements() {
		s, err := ParseStatement(raw)
		if err != nil || !bytes.Equal(s.Marshal(), raw) {
			t.Errorf("a statement does not encode to its own bytes: %v", err)
		}
	}
}

func TestV18MalformedStatementRefused(t *testing.T) {
	alice := newActor("phone")
	raw := start(t, alice).Statements()[0]
	for n := 0; n < len(raw); n += 11 {
		if _, err := ParseStatement(raw[:n]); err == nil {
			t.Fatalf("accepted after %d of %d bytes", n, len(raw))
		}
	}
	_, err := ParseStatement(append(bytes.Clone(raw), 0))
	wantCheck(t, err, "V-18", ErrStatement)
	_, err = ParseStatement(make([]byte, MaxStatement+1))
	wantCheck(t, err, "V-18", ErrStatement)
	for _, at := range []int{4, 5} { // version and form of the body
		bad := bytes.Clone(raw)
		bad[at] = 9
		_, err := ParseStatement(bad)
		wantCheck(t, err, "V-18", ErrStatement)
	}
}

func TestV19StatementZeroAddsOneDeviceItself(t *testing.T) {
	alice, bob := newActor("phone"), newActor("bob")
	_, err := ReplayRoster(nil)
	wantCheck(t, err, "V-19", ErrRoster)
	for name, ops := range map[string][]Operation{
		"two devices": {AddDevice{alice.Device}, AddDevice{bob.Device}},
		"no device":   {SetRecovery{bob.Key}},
		"another's":   {AddDevice{bob.Device}},
	} {
		s, err := (&Statement{ops: ops, kind: signedByDevice, device: alice.ID}).sign(alice.key, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = StartRoster(s)
		t.Run(name, func(t *testing.T) { wantCheck(t, err, "V-19", ErrRoster) })
	}
}

func TestV20StatementsFollowEachOther(t *testing.T) {
	alice, bob := newActor("phone"), newActor("bob")
	r, other := start(t, alice), start(t, bob)
	first := grow(t, r, alice.author(), nil, RenameDevice{alice.ID, []byte("a")})
	second := grow(t, first, alice.author(), nil, RenameDevice{alice.ID, []byte("b")})
	last, err := ParseStatement(second.Statements()[2])
	if err != nil {
		t.Fatal(err)
	}
	for name, on := range map[string]*Roster{"a gap": r, "another account": other, "a repeat": second} {
		_, err := on.Apply(last)
		t.Run(name, func(t *testing.T) { wantCheck(t, err, "V-20", ErrRoster) })
	}
	zero, _ := ParseStatement(r.Statements()[0])
	_, err = r.Apply(zero)
	wantCheck(t, err, "V-20", ErrRoster)
}

func TestV21ForkIsFoundAndNothingElseCountsAsOne(t *testing.T) {
	alice, mallory := newActor("phone"), newActor("mallory")
	r := start(t, alice)
	one := grow(t, r, alice.author(), nil, RenameDevice{alice.ID, []byte("one")})
	rival, err := r.Propose(alice.author(), nil, millis(testTime), nil, RenameDevice{alice.ID, []byte("two")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = one.Apply(rival)
	wantCheck(t, err, "V-21", ErrFork)
	forged, err := (&Statement{account: r.id, seq: 1, prev: r.head, ops: []Operation{RenameDevice{alice.ID, nil}}, kind: signedByDevice, device: alice.ID}).sign(mallory.key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = one.Apply(forged); errors.Is(err, ErrFork) || err == nil {
		t.Errorf("a forgery counts as a fork: %v", err)
	}
}

func TestV22SignerMustBeOnTheRoster(t *testing.T) {
	alice, bob := newActor("phone"), newActor("bob")
	r := start(t, alice)
	refused(t, r, bob.author(), nil, "V-22", RenameDevice{alice.ID, nil})
	refused(t, r, Author{Key: bob.key}, nil, "V-22", RenameDevice{alice.ID, nil})
}

func TestV23SignerMustSign(t *testing.T) {
	alice, bob := newActor("phone"), newActor("bob")
	refused(t, start(t, alice), Author{Device: &alice.ID, Key: bob.key}, nil, "V-23", RenameDevice{alice.ID, nil})
}

func TestV24EachAddedDeviceSigns(t *testing.T) {
	alice, bob := newActor("phone"), newActor("bob")
	r := start(t, alice)
	refused(t, r, alice.author(), nil, "V-24", AddDevice{bob.Device})
	refused(t, r, alice.author(), []*SigningKey{alice.key}, "V-24", AddDevice{bob.Device})
	refused(t, r, alice.author(), []*SigningKey{bob.key}, "V-24", RenameDevice{alice.ID, nil})
}

func TestV25RecoveryKeyGuardsItself(t *testing.T) {
	alice, one, two := newActor("phone"), newActor("one"), newActor("two")
	r := grow(t, start(t, alice), alice.author(), nil, SetRecovery{one.Key})
	refused(t, r, alice.author(), nil, "V-25", SetRecovery{two.Key})
	refused(t, r, alice.author(), nil, "V-25", ReplaceRecovery{two.Key})
	refused(t, r, alice.author(), nil, "V-25", ClearRecovery{})
	r = grow(t, r, Author{Key: one.key}, nil, ReplaceRecovery{two.Key})
	if !r.Recovery().Equal(two.Key) {
		t.Error("the recovery key was not replaced")
	}
}

func TestV26OneDeviceMayNotReplaceAllOthers(t *testing.T) {
	alice, bob, thief := newActor("phone"), newActor("bob"), newActor("thief")
	r := grow(t, start(t, alice), alice.author(), []*SigningKey{bob.key}, AddDevice{bob.Device})
	refused(t, r, alice.author(), []*SigningKey{thief.key}, "V-26", RemoveDevice{bob.ID}, AddDevice{thief.Device})
	r = grow(t, r, alice.author(), nil, RemoveDevice{bob.ID})
	if len(r.Devices()) != 1 {
		t.Error("removing alone is allowed")
	}
}

func TestV27DeviceIDsAndKeysServeOnce(t *testing.T) {
	alice, bob, carol := newActor("phone"), newActor("bob"), newActor("carol")
	r := grow(t, start(t, alice), alice.author(), []*SigningKey{bob.key}, AddDevice{bob.Device})
	refused(t, r, alice.author(), []*SigningKey{bob.key}, "V-27", AddDevice{bob.Device})
	r = grow(t, r, alice.author(), nil, RemoveDevice{bob.ID})
	refused(t, r, alice.author(), []*SigningKey{bob.key}, "V-27", AddDevice{bob.Device})
	twin := *carol.Device
	twin.Key = alice.Key
	refused(t, r, alice.author(), []*SigningKey{alice.key}, "V-27", AddDevice{&twin})
}

func TestV28AccountKeepsADevice(t *testing.T) {
	alice := newActor("phone")
	refused(t, start(t, alice), alice.author(), nil, "V-28", RemoveDevice{alice.ID})
}

func TestV29UnknownDevice(t *testing.T) {
	alice, bob := newActor("phone"), newActor("bob")
	refused(t, start(t, alice), alice.author(), nil, "V-29", RemoveDevice{bob.ID})
	refused(t, start(t, alice), alice.author(), nil, "V-29", RenameDevice{bob.ID, nil})
}

func TestV04HoldNeedsTheRecoveryKey(t *testing.T) {
	alice, recovery := newActor("phone"), newActor("recovery")
	r := start(t, alice)
	hold := Hold{Account: r.ID(), At: millis(testTime), Nonce: [16]byte{1}}
	raw, err := SignHold(hold, recovery.key, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenHold(raw, r)
	wantCheck(t, err, "V-04", ErrHold)
	r = grow(t, r, alice.author(), nil, SetRecovery{recovery.Key})
	if got, err := OpenHold(raw, r); err != nil || got != hold {
		t.Fatalf("got %+v, %v", got, err)
	}
	bad, _ := SignHold(hold, alice.key, nil)
	for _, b := range [][]byte{bad, raw[1:], append(bytes.Clone(raw), 0), nil} {
		_, err := OpenHold(b, r)
		wantCheck(t, err, "V-04", ErrHold)
	}
}

func TestLinkingSignsInTwoPlaces(t *testing.T) {
	alice, laptop := newActor("phone"), newActor("laptop")
	r := start(t, alice)
	body, err := r.ProposeBody(alice.author(), millis(testTime), AddDevice{laptop.Device})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := SignBody(alice.key, body, nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := SignBody(laptop.key, body, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Assemble(alice.author(), body, mine, []Signature{*theirs})
	if err != nil {
		t.Fatal(err)
	}
	if next, err := r.Apply(s); err != nil || len(next.Devices()) != 2 {
		t.Errorf("%v", err)
	}
}
