package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

func TestLogin(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	first := alice.token
	if err := alice.login(); err != nil {
		t.Fatal(err)
	}
	if alice.token == first || len(alice.token) != 86 {
		t.Errorf("tokens %q and %q: want two different ones of 86 characters", first, alice.token)
	}
	for _, token := range []string{first, alice.token} {
		if _, err := alice.line.mailbox.Ack(bearer(t, token), &posthornv1.AckRequest{}); err != nil {
			t.Errorf("a token of this device: %v", err)
		}
	}
}

// spoiled is a login proof that must be refused.
type spoiled struct {
	name  string
	spoil func(o *office, alice, bob *person) *posthornv1.Proof
}

var spoiledProofs = []spoiled{
	{"wrong ECDSA signature", func(_ *office, alice, _ *person) *posthornv1.Proof {
		p := alice.proof()
		p.EcdsaSignature[40] ^= 1
		return p
	}},
	{"wrong ML-DSA signature", func(_ *office, alice, _ *person) *posthornv1.Proof {
		p := alice.proof()
		p.MldsaSignature[1000] ^= 1
		return p
	}},
	{"signed by somebody else", func(_ *office, alice, bob *person) *posthornv1.Proof {
		p := bob.proof()
		p.AccountId, p.DeviceId = alice.party.Account[:], alice.party.Device.ID[:]
		return p
	}},
	{"half signed by somebody else", func(_ *office, alice, bob *person) *posthornv1.Proof {
		p := alice.proof()
		p.MldsaSignature = bob.prove(bob.audience, p.Challenge).MldsaSignature
		return p
	}},
	{"device of another account", func(_ *office, alice, bob *person) *posthornv1.Proof {
		p := alice.proof()
		p.DeviceId = bob.party.Device.ID[:]
		return p
	}},
	{"unknown account", func(o *office, _, _ *person) *posthornv1.Proof {
		return o.newPerson("carol").proof()
	}},
	{"unknown device of a known account", func(_ *office, alice, _ *person) *posthornv1.Proof {
		p := alice.proof()
		p.DeviceId = bytes.Repeat([]byte{7}, 32)
		return p
	}},
	{"made for another address", func(_ *office, alice, _ *person) *posthornv1.Proof {
		return alice.prove("evil.example:443", alice.proof().Challenge)
	}},
	{"challenge spent by a login", func(_ *office, alice, _ *person) *posthornv1.Proof {
		p := alice.proof()
		if _, err := alice.line.auth.Authenticate(alice.t.Context(), &posthornv1.AuthenticateRequest{Proof: p}); err != nil {
			alice.t.Fatal(err)
		}
		return p
	}},
	{"challenge spent by a failed attempt", func(_ *office, alice, _ *person) *posthornv1.Proof {
		p := alice.proof()
		wrong := proto.Clone(p).(*posthornv1.Proof)
		wrong.EcdsaSignature[3] ^= 1
		_, _ = alice.line.auth.Authenticate(alice.t.Context(), &posthornv1.AuthenticateRequest{Proof: wrong})
		return p
	}},
	{"challenge of its own making", func(_ *office, alice, _ *person) *posthornv1.Proof {
		return alice.prove(alice.audience, bytes.Repeat([]byte{0xff}, api.ChallengeSize))
	}},
	{"challenge of a wrong length", func(_ *office, alice, _ *person) *posthornv1.Proof {
		return alice.prove(alice.audience, []byte("short"))
	}},
	{"challenge of another server", func(_ *office, alice, _ *person) *posthornv1.Proof {
		other := open(alice.t).newPerson("alice").proof()
		return alice.prove(alice.audience, other.Challenge)
	}},
	{"signature for another purpose", func(_ *office, alice, _ *person) *posthornv1.Proof {
		p := alice.proof()
		sig, err := alice.key.SignHybrid(nil, api.AuthBytes(alice.audience, p.Challenge, alice.party.Account, alice.party.Device.ID), "posthorn/bundle/v1")
		if err != nil {
			alice.t.Fatal(err)
		}
		p.MldsaSignature = sig.MLDSA[:]
		return p
	}},
}

// Every spoiled proof gets the same answer, to the byte, so that nothing tells
// an unknown device from a wrong signature.
func TestV80LoginProofs(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	said := ""
	for _, c := range spoiledProofs {
		t.Run(c.name, func(t *testing.T) {
			answer, err := alice.line.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{Proof: c.spoil(o, alice, bob)})
			wantRefusal(t, err, connect.CodeUnauthenticated, api.ReasonBadProof)
			if answer.GetToken() != "" {
				t.Error("a token came with the refusal")
			}
			text := err.Error() + detailOf(t, err).String()
			if said == "" {
				said = text
			}
			if text != said {
				t.Errorf("answered %q, others get %q", text, said)
			}
		})
	}
}

func TestV80RegistrationProofs(t *testing.T) {
	o := open(t)
	bob := o.join("bob")
	for _, c := range spoiledProofs {
		if strings.HasPrefix(c.name, "challenge spent by a login") || c.name == "unknown account" {
			continue // a registration is by an unknown account
		}
		t.Run(c.name, func(t *testing.T) {
			carol := o.newPerson("carol")
			request := carol.registration()
			request.Proof = c.spoil(o, carol, bob)
			_, err := carol.line.directory.Register(t.Context(), request)
			wantRefusal(t, err, connect.CodeUnauthenticated, api.ReasonBadProof)
		})
	}
	_, err := bob.line.directory.GetAccount(bearer(t, bob.token), byName("carol"))
	wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAccount)
}

// newDesk is a login desk over an empty store.
func newDesk() (*challenges, *tokens) {
	s := memory.New()
	keys := &keyring{store: s}
	return newChallenges(keys), newTokens(s, keys)
}

// challenge is a fresh one.
func (c *challenges) fresh(t testing.TB, now time.Time) []byte {
	t.Helper()
	challenge, ends, err := c.issue(t.Context(), now)
	if err != nil || !ends.Equal(now.Add(api.ChallengeLife)) {
		t.Fatalf("ends after %v, %v", ends.Sub(now), err)
	}
	return challenge[:]
}

func (c *challenges) spends(t testing.TB, challenge []byte, now time.Time) bool {
	t.Helper()
	ok, err := c.spend(t.Context(), challenge, now)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestV80ChallengeEnds(t *testing.T) {
	c, _ := newDesk()
	now := time.Now()
	challenge := c.fresh(t, now)
	if c.spends(t, challenge, now.Add(api.ChallengeLife)) {
		t.Error("accepted at its end")
	}
	if !c.spends(t, challenge, now.Add(api.ChallengeLife-2*time.Millisecond)) {
		t.Error("refused before its end")
	}
	if c.spends(t, challenge, now) {
		t.Error("accepted twice")
	}
	for i := range challenge {
		fresh := c.fresh(t, now)
		fresh[i] ^= 1
		if c.spends(t, fresh, now) {
			t.Errorf("accepted with byte %d changed", i)
		}
	}
}

func TestSpentChallengesAreForgotten(t *testing.T) {
	c, _ := newDesk()
	now := time.Now()
	for range 5000 {
		if !c.spends(t, c.fresh(t, now), now) {
			t.Fatal("refused")
		}
		now = now.Add(time.Second)
	}
	if len(c.spent) > 2048 {
		t.Errorf("%d challenges are remembered, of which 120 can still be answered", len(c.spent))
	}
}

// give issues a token for the answer to a fresh challenge.
func (t *tokens) give(tb testing.TB, who caller, now time.Time) (string, time.Time) {
	tb.Helper()
	challenge, _, err := newChallenges(t.keys).issue(tb.Context(), now)
	if err != nil {
		tb.Fatal(err)
	}
	text, ends, _, err := t.issue(tb.Context(), who, challenge[:], claim{}, now)
	if err != nil {
		tb.Fatal(err)
	}
	return text, ends
}

// works tells whether a token is good, and whose it is.
func (t *tokens) works(tb testing.TB, text string, now time.Time) (caller, bool) {
	tb.Helper()
	who, ok, err := t.holder(tb.Context(), "Bearer "+text, now)
	if err != nil {
		tb.Fatal(err)
	}
	return who, ok
}

func TestTokensEnd(t *testing.T) {
	_, held := newDesk()
	now := time.UnixMilli(time.Now().UnixMilli())
	alice := caller{account: account.ID{1}, device: account.DeviceID{1}, box: store.Box{1}}
	text, ends := held.give(t, alice, now)
	if !ends.Equal(now.Add(api.TokenLife)) {
		t.Errorf("works for %v", ends.Sub(now))
	}
	if who, ok := held.works(t, text, ends.Add(-1)); !ok || who != alice {
		t.Errorf("before its end: %v, %v", who, ok)
	}
	if _, ok := held.works(t, text, ends); ok {
		t.Error("works at its end")
	}
}

// A stranger may choose the device id of somebody else. It must not end that
// device's tokens.
func TestTokensOfEqualDeviceIDs(t *testing.T) {
	_, held := newDesk()
	now := time.Now()
	text, _ := held.give(t, caller{account.ID{1}, account.DeviceID{9}, store.Box{1}}, now)
	var others []string
	for range 2 * maxTokens {
		other, _ := held.give(t, caller{account.ID{2}, account.DeviceID{9}, store.Box{2}}, now)
		others = append(others, other)
	}
	later := now.Add(tokenTrust) // everything is looked up anew
	if _, ok := held.works(t, text, later); !ok {
		t.Error("the logins of a stranger ended the token")
	}
	for i, other := range others {
		if _, ok := held.works(t, other, later); ok != (i >= maxTokens) {
			t.Errorf("token %d of %d works: %v", i, len(others), ok)
		}
	}
}

// A device that logs in without end is stopped before its record grows.
func TestV89LoginsOfOneDevice(t *testing.T) {
	c, held := newDesk()
	now, who := time.Now(), caller{box: store.Box{1}}
	for range maxSpent {
		if _, _, _, err := held.issue(t.Context(), who, c.fresh(t, now), claim{}, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, _, err := held.issue(t.Context(), who, c.fresh(t, now), claim{}, now); !errors.Is(err, errTooManyLogins) {
		t.Errorf("one more: %v", err)
	}
	later := now.Add(api.ChallengeLife + spentMargin + time.Second)
	if _, _, _, err := held.issue(t.Context(), who, c.fresh(t, later), claim{}, later); err != nil {
		t.Errorf("later: %v", err)
	}
}

// What the store has of a token does not give the token away.
func TestTokensAreNotKept(t *testing.T) {
	_, held := newDesk()
	text, _ := held.give(t, caller{box: store.Box{1}}, time.Now())
	raw, _ := base64.RawURLEncoding.DecodeString(text)
	record, _, err := held.store.Get(t.Context(), loginKey(store.Box{1}))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(record, []byte(text)) || bytes.Contains(record, raw[16:tokenBody]) {
		t.Error("the store has the token itself")
	}
	for hash := range held.known {
		if strings.Contains(text, string(hash[:])) || bytes.Contains(hash[:], []byte(text)) {
			t.Error("the token itself is remembered")
		}
	}
}

// A token outlives the process that gave it out.
func TestTokensAfterRestart(t *testing.T) {
	s := memory.New()
	alice := openOver(t, s, Options{OpenRegistration: true}).join("alice")
	again := openOver(t, s, Options{})
	alice.line, alice.audience = again.dial(), again.addr
	if _, err := alice.line.mailbox.Ack(bearer(t, alice.token), &posthornv1.AckRequest{}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if err := alice.login(); err != nil {
		t.Errorf("login after a restart: %v", err)
	}
}
