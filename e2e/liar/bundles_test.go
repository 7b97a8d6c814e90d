package liar

import (
	"bytes"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/pq3"
)

// The places of a bundle's keys: version and suite, the ECDH key, the KEM key.
const (
	ecdhAt = 2
	kemAt  = ecdhAt + 32
	timeAt = kemAt + 1568
)

// Prekey bundles that the logged device did not publish: nothing is
// encapsulated to any of them, and the text waits for a better one.
func TestA16A27Bundles(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, victim, mallory := o.join("alice"), o.puppet("victim"), o.puppet("mallory")
	genuine, other := victim.bundle(0, pq3.BundleLife), mallory.bundle(0, pq3.BundleLife)
	changed := func(at int, with []byte) []byte {
		b := bytes.Clone(genuine)
		copy(b[at:], with)
		return b
	}
	unreduced := bytes.Repeat([]byte{0xff}, 1536) // coefficients of 4095
	for _, lie := range []struct {
		name, rule string
		bundle     []byte
		code       int
	}{
		{"of another account", "V-17", other, 4},
		{"with another's ECDH key", "V-17", changed(ecdhAt, other[ecdhAt:kemAt]), 4},
		{"with another's KEM key", "V-17", changed(kemAt, other[kemAt:timeAt]), 4},
		{"with another's signature", "V-17", append(bytes.Clone(genuine[:len(genuine)-account.SignatureSize]), other[len(other)-account.SignatureSize:]...), 4},
		{"with an unreduced KEM key", "V-13", changed(kemAt, unreduced), 4},
		{"with no point of the curve", "V-12", changed(ecdhAt, bytes.Repeat([]byte{0xff}, 32)), 4},
		{"cut off", "V-11", genuine[:len(genuine)-1], 4},
		{"for another suite", "V-105", changed(1, []byte{byte(account.PQ3)}), 4},
		{"that has run out", "V-15", victim.bundle(-30*24*time.Hour, -24*time.Hour), 3},
		{"from the future", "V-15", victim.bundle(24*time.Hour, 48*time.Hour), 3},
	} {
		t.Run(lie.name, func(t *testing.T) {
			alice.t = t
			alice.front.onBundle(func(a *posthornv1.FetchBundleResponse) { a.Bundle = lie.bundle })
			alice.refused(lie.code, lie.rule, "send", "@victim", "kept")
		})
	}
	alice.t = t
	alice.front.honest()
	alice.must("send", "@victim", "and now to you")
	alice.wroteOnlyTo(victim)
}

// A bundle older than one that the client has seen, genuine in all else: it is
// refused by every later run of the program, and by nobody who saw no newer one.
func TestTA16V59OlderBundle(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, dave, victim := o.join("alice"), o.join("dave"), o.puppet("victim")
	alice.must("send", "@victim", "under the newest bundle")
	older := victim.bundle(-hour, 29*24*hour)
	serve := func(p *person) {
		p.front.onBundle(func(a *posthornv1.FetchBundleResponse) { a.Bundle = older })
	}
	o.ahead(8 * 24 * hour) // a week without a rekey: the next text has to start a session
	alice.move(8 * 24 * hour)
	dave.move(8 * 24 * hour)
	serve(alice)
	for _, text := range []string{"kept", "kept as well"} { // each run is a new process
		alice.refuses("V-59", "send", "@victim", text)
	}
	serve(dave)
	dave.must("send", "@victim", "he has seen no newer one")
	dave.wroteOnlyTo(victim)

	alice.front.honest()
	before := len(alice.front.envelopes())
	o.publishes(victim, victim.bundle(2*time.Minute, 29*24*hour))
	alice.must("send", "@victim", "under a newer bundle")
	if sent := len(alice.front.envelopes()) - before; sent < 3 {
		t.Errorf("%d envelopes: the two texts that waited are not among them", sent)
	}
	alice.wroteOnlyTo(victim)
	serve(alice)
	alice.move(16 * 24 * hour)
	o.ahead(16 * 24 * hour)
	alice.refuses("V-59", "send", "@victim", "and again")
}
