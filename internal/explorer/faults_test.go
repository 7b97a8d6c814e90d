package explorer

import (
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
)

// pairOf is a scene of one device a side.
func pairOf(sends, theirs int) Scene {
	return Scene{Name: "pair", Suite: account.PQ3A, Devices: [2]int{1, 1}, Sends: [2]int{sends, theirs}}
}

// leaky is a pair in which things leak.
func leaky(sends, theirs, leaks int, kinds LeakKinds, quantum bool) Scene {
	s := pairOf(sends, theirs)
	s.Leaks, s.Kinds, s.Quantum = leaks, kinds, quantum
	return s
}

// planted are mistakes around the real code, and clauses left out of the
// obligations, each with a scene that shows it and what the report must say.
func planted() []struct {
	name  string
	fault fault
	scene Scene
	want  string
} {
	aged := pairOf(2, 1)
	aged.Clock = []time.Duration{8 * day, 15 * day}
	lossy := pairOf(3, 0)
	lossy.Lost = 1
	erased := pairOf(1, 1)
	erased.Renewed = 1
	forged := leaky(1, 1, 2, LeakIdentity, false)
	forged.Forge = true
	published := forged
	published.Suite = account.PQ3
	return []struct {
		name  string
		fault fault
		scene Scene
		want  string
	}{
		{"no replay cache", noReplayCache, aged, "received twice"},
		{"a message leaves before its state is stored", sendsBeforeStoring, lossy, "I3"},
		{"a text is shown before its state is stored", showsBeforeStoring, pairOf(1, 0), "received twice"},
		{"answered keys are kept", keepsUsedKeys, leaky(2, 2, 1, LeakState, true), "secrecy"},
		{"the KEM answer is left out", skipsKEMAnswer, leaky(2, 1, 1, LeakState, true), "secrecy"},
		{"a refusal drops the session", dropsSessionOnRefusal, pairOf(1, 0), "I4"},
		{"a lost session is never repaired", neverRepairs, erased, "stuck"},
		{"suite PQ3 is expected to have a tag", expectsTagOfPQ3, published, "a forger changed"},
		{"the closure lacks a rule", forgetsQuantumRule, leaky(2, 2, 1, LeakPrekeyKEM, true), "a thief reads"},
		{"the closure has a wrong rule", takesRootForChain, leaky(2, 1, 1, LeakRootKey, false), "secrecy"},
		{"no clause for message keys", noMessageKeyClause, leaky(1, 0, 1, LeakAll, false), "secrecy"},
		{"no clause for chain keys", noChainKeyClause, leaky(2, 0, 1, LeakAll, false), "secrecy"},
		{"no clause for identity keys", noIdentityClause, forged, "secrecy"},
		{"no clause for ECDH keys", noECDHKeyClause, leaky(1, 1, 2, LeakPrekeys, false), "secrecy"},
		{"no clause for the quantum computer", noQuantumClause, leaky(1, 0, 1, LeakPrekeys, true), "secrecy"},
		{"no clause for KEM keys", noKEMKeyClause, leaky(1, 0, 2, LeakPrekeys, false), "secrecy"},
		{"no clause for root keys", noRootKeyClause, leaky(1, 1, 1, LeakRootKey, true), "secrecy"},
	}
}

// TestExplorerBites plants each mistake and wants a counterexample. The same
// scene without the mistake has none.
func TestExplorerBites(t *testing.T) {
	for _, p := range planted() {
		t.Run(p.name, func(t *testing.T) {
			r := explore(newLab(p.scene, p.fault), 20000, 2, nil)
			if r.Broken == nil {
				t.Fatalf("not found in %d states", r.States)
			}
			if !strings.Contains(r.Broken.Err.Error(), p.want) {
				t.Errorf("want %q, got %v", p.want, r.Broken.Err)
			}
			t.Logf("found among %d states:\n%s", r.States, r.Broken)
			if sound := Explore(p.scene, 20000, 2, nil); sound.Broken != nil {
				t.Errorf("without the mistake:\n%s", sound.Broken)
			}
		})
	}
}
