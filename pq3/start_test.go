package pq3_test

import (
	"bytes"
	"crypto"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

func TestV37SessionIDMustFollowFromTheStart(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	start := p.seal(p.alice, "start")
	bad := p.forge(p.alice, start, func(f *pq3.Fields) { f.Session[0] ^= 1; f.KeepStartNames = true })
	p.refuses(p.bob, bad, "V-37", pq3.ErrHeader)
	p.deliver(p.bob, start)
}

func TestV40StartWithoutItsPostQuantumSignatureRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	start := p.seal(p.alice, "start")
	for name, change := range map[string]func(*pq3.Fields){
		"forged":       func(f *pq3.Fields) { f.StartSignature = flipped(f.StartSignature, 100) },
		"other time":   func(f *pq3.Fields) { f.StartTime = flipped(f.StartTime, 7) },
		"zero":         func(f *pq3.Fields) { f.StartSignature = make([]byte, 3309) },
		"other prekey": func(f *pq3.Fields) { f.StartSignature = bytes.Repeat([]byte{7}, 3309) },
	} {
		t.Run(name, func(t *testing.T) {
			bad := p.forge(p.alice, start, func(f *pq3.Fields) { change(f); f.KeepStartNames = true })
			p.refuses(p.bob, bad, "V-40", pq3.ErrSignature)
		})
	}
	p.deliver(p.bob, start)
}

func TestV41StartTimeWindow(t *testing.T) {
	for _, c := range []struct {
		name          string
		sent, arrives time.Duration // after Now, when the bundle begins
		ok            bool
	}{
		{"5 minutes ahead", 0, -5 * time.Minute, true},
		{"more than 5 minutes ahead", 0, -5*time.Minute - time.Millisecond, false},
		{"30 days old", 0, 30 * 24 * time.Hour, true},
		{"more than 30 days old", 0, 30*24*time.Hour + time.Millisecond, false},
		{"5 minutes before the bundle", -5 * time.Minute, 0, true},
		{"5 minutes after the bundle", 30*24*time.Hour + 5*time.Minute, 31 * 24 * time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t, pq3.Policy{})
			p.now = pq3test.Now.Add(c.sent - time.Second)
			start := p.seal(p.alice, "start")
			p.now = pq3test.Now.Add(c.arrives)
			if c.ok {
				p.deliver(p.bob, start)
				return
			}
			p.refuses(p.bob, start, "V-41", pq3.ErrFreshness)
		})
	}
	t.Run("outside the bundle", func(t *testing.T) {
		p := newPair(t, pq3.Policy{})
		start := p.seal(p.alice, "start")
		for _, at := range []time.Time{pq3test.Now.Add(-6 * time.Minute), pq3test.Now.Add(30*24*time.Hour + 6*time.Minute)} {
			bad := p.forge(p.alice, start, func(f *pq3.Fields) { f.StartTime = be64(uint64(at.UnixMilli())) })
			p.now = at
			p.refuses(p.bob, bad, "V-41", pq3.ErrFreshness)
		}
	})
}

func TestV42UnknownPrekeyRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	start := p.seal(p.alice, "start")
	bad := p.forge(p.alice, start, func(f *pq3.Fields) { f.PrekeyHash = flipped(f.PrekeyHash, 0) })
	p.refuses(p.bob, bad, "V-42", pq3.ErrPrekeyUnknown)
	kept := p.bob.Prekeys
	p.bob.Prekeys = pq3test.PrekeyMap{}
	p.refuses(p.bob, start, "V-42", pq3.ErrPrekeyUnknown)
	p.bob.Prekeys = kept
	p.deliver(p.bob, start)
}

// TestTA4ReplayedSessionStart: the whole first chain is recorded and delivered
// again after the session is gone. The control shows that the cache is what
// stops it.
func TestTA4ReplayedSessionStart(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, pq3.Policy{}, suite)
		recorded := p.say(p.alice, 3)
		p.bob.Sessions = nil
		for _, wire := range recorded[:2] {
			p.refuses(p.bob, wire, "V-43", pq3.ErrReplay)
		}
		other := p.forge(p.alice, recorded[0], func(f *pq3.Fields) { f.StartTime = be64(uint64(p.now.UnixMilli())) })
		p.refuses(p.bob, other, "V-43", pq3.ErrReplay)
		p.bob.Replays = &pq3test.ReplayLog{}
		if _, err := receiveOne(p.bob, p.alice, p.now, recorded[0]); err != nil {
			t.Errorf("%s: control without a cache: %v", suite, err)
		}
	}
}

// countingCache claims numbers of earlier starts; those of the device all came
// at one time.
type countingCache struct {
	bundle, device int
	at             time.Time
}

func (countingCache) Seen(pq3.ReplayKey) bool               { return false }
func (c countingCache) BundleStarts(account.BundleHash) int { return c.bundle }

func (c countingCache) DeviceStarts(_ account.DeviceID, since time.Time) int {
	if c.at.Before(since) {
		return 0
	}
	return c.device
}

func TestStartLimits(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	m, err := pq3.ParseMessage(p.seal(p.alice, "start"))
	if err != nil {
		t.Fatal(err)
	}
	accept := func(c countingCache) error {
		_, err := pq3.Accept(p.bob.Identity, p.alice.Party(), m, pq3.AcceptOptions{Prekeys: p.bob.Prekeys, Replays: c}, p.now)
		return err
	}
	dayAgo := p.now.Add(-24 * time.Hour)
	if err := accept(countingCache{65535, 19, p.now}); err != nil {
		t.Errorf("at the limits: %v", err)
	}
	if err := accept(countingCache{0, 20, dayAgo.Add(-time.Millisecond)}); err != nil {
		t.Errorf("20 starts of the day before: %v", err)
	}
	t.Run("V-44 20 a day and device", func(t *testing.T) { wantRefusal(t, accept(countingCache{0, 20, dayAgo}), "V-44", pq3.ErrLimit) })
	t.Run("V-45 65,536 a bundle", func(t *testing.T) { wantRefusal(t, accept(countingCache{bundle: 65536}), "V-45", pq3.ErrLimit) })
}

// encapsulations counts how often anything is encapsulated.
type encapsulations struct {
	pq3.Entropy
	n int
}

func (e *encapsulations) Encapsulate(ek crypto.Encapsulator) ([]byte, []byte) {
	e.n++
	return e.Entropy.Encapsulate(ek)
}

// TestTA16BadBundleStopsInitiate: whatever is wrong with a bundle, nothing is
// ever encapsulated to it.
func TestTA16BadBundleStopsInitiate(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	ent := &encapsulations{Entropy: p.alice.Ent}
	try := func(peer account.Party, b *account.Bundle, seen uint64, now time.Time) error {
		_, err := pq3.Initiate(p.alice.Identity, peer, b, pq3.InitiateOptions{SeenNotBefore: seen}, now, ent)
		return err
	}
	good, carol := p.bob.Bundle(), pq3test.NewEndpoint("carol", pq3.Policy{})
	tampered := *good
	tampered.Sig.MLDSA[9] ^= 1
	for name, err := range map[string]error{
		"expired":        try(p.bob.Party(), good, 0, pq3test.Now.Add(31*24*time.Hour)),
		"not yet valid":  try(p.bob.Party(), good, 0, pq3test.Now.Add(-time.Hour)),
		"wrongly signed": try(p.bob.Party(), &tampered, 0, p.now),
		"other user's":   try(p.bob.Party(), carol.Bundle(), 0, p.now),
		"older":          try(p.bob.Party(), good, good.NotBefore+1, p.now),
	} {
		if err == nil {
			t.Errorf("%s bundle accepted", name)
		}
	}
	t.Run("V-59 older than one seen", func(t *testing.T) {
		wantRefusal(t, try(p.bob.Party(), good, good.NotBefore+1, p.now), "V-59", pq3.ErrBundle)
	})
	if ent.n != 0 {
		t.Errorf("%d encapsulations to refused bundles", ent.n)
	}
	if err := try(p.bob.Party(), good, good.NotBefore, p.now); err != nil || ent.n != 1 {
		t.Errorf("the good bundle: %v, %d encapsulations", err, ent.n)
	}
}

func TestV65IdentityNeedsTheDevicesOwnKeys(t *testing.T) {
	alice, bob := pq3test.NewIdentity("alice"), pq3test.NewIdentity("bob")
	key, _ := account.GenerateSigningKey(pq3test.NewEntropy("other").Read)
	_, err := pq3.NewIdentity(alice.Party(), key)
	wantRefusal(t, err, "V-65", pq3.ErrIdentity)
	_, err = pq3.NewIdentity(account.Party{Account: bob.Party().Account}, key)
	wantRefusal(t, err, "V-65", pq3.ErrIdentity)
}

func be64(v uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(v >> (56 - 8*i))
	}
	return b
}
