package pq3_test

import (
	"bytes"
	"errors"
	"math/big"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// TestTA1FlipAnyBit: every bit of a message of each kind, one at a time. All
// bits of the plain ones, every seventh of the long ones; a ninth of that in a
// short run.
func TestTA1FlipAnyBit(t *testing.T) {
	share := 1
	if testing.Short() {
		share = 9
	}
	for _, suite := range bothSuites {
		p := newPair(t, pq3.Policy{}, suite)
		type step struct {
			from *pq3test.Endpoint
			skip int
		}
		for _, s := range []step{{p.alice, 7}, {p.bob, 7}, {p.alice, 7}, {p.bob, 1}} {
			to := p.peer(s.from)
			wire := p.seal(s.from, "every bit counts")
			before := to.Fingerprint()
			for bit := 0; bit < 8*len(wire); bit += s.skip * share {
				bad := bytes.Clone(wire)
				bad[bit/8] ^= 1 << (bit % 8)
				if text, err := receiveOne(to, s.from, p.now, bad); err == nil {
					t.Fatalf("%s: bit %d flipped, and it opens as %q", suite, bit, text)
				}
			}
			if to.Fingerprint() != before {
				t.Fatalf("%s: a refusal changed the state", suite)
			}
			p.deliver(to, wire)
		}
	}
}

// TestTA3RedirectToAnotherDevice: the same bytes, brought to another device.
func TestTA3RedirectToAnotherDevice(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	carol := pq3test.NewEndpoint("carol", pq3.Policy{})
	carol.Prekeys = p.bob.Prekeys // even one that holds Bob's prekeys
	_, err := receiveOne(carol, p.alice, p.now, p.seal(p.alice, "for Bob"))
	wantRefusal(t, err, "V-35", pq3.ErrSignature)
}

// TestTA5SwapFieldsBetweenValidMessages: with the sender's signing keys, but
// without session secrets, fields of one message are put into another.
func TestTA5SwapFieldsBetweenValidMessages(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, pq3.Policy{}, suite)
		other := newPair(t, pq3.Policy{}, suite)
		other.talk(2)
		p.talk(1)
		wire := p.seal(p.alice, "answers in epoch 2")
		var donor pq3.Fields
		other.forge(other.alice, other.seal(other.alice, "x"), func(f *pq3.Fields) { donor = *f })
		for name, change := range map[string]func(*pq3.Fields){
			"ratchet key":    func(f *pq3.Fields) { f.RatchetKey = donor.RatchetKey },
			"KEM ciphertext": func(f *pq3.Fields) { f.KEMCiphertext = flipped(f.KEMCiphertext, 77) },
			"previous":       func(f *pq3.Fields) { f.Previous += 2 },
			"index":          func(f *pq3.Fields) { f.Index = 9 },
			"epoch":          func(f *pq3.Fields) { f.Epoch += 2 },
			"session":        func(f *pq3.Fields) { f.Session[0] ^= 1 },
		} {
			if suite == account.PQ3 && name == "previous" {
				continue // the indicator binds the key, not the header: the limit of the published suite
			}
			before := p.bob.Fingerprint()
			if _, err := receiveOne(p.bob, p.alice, p.now, p.forge(p.alice, wire, change)); err == nil || p.bob.Fingerprint() != before {
				t.Errorf("%s: another %s: %v", suite, name, err)
			}
		}
		p.deliver(p.bob, wire)
	}
}

// TestTA9EditWithTheSigningKeyAlone: the known limit of suite PQ3, and what
// PQ3A adds a tag for.
func TestTA9EditWithTheSigningKeyAlone(t *testing.T) {
	edit := func(f *pq3.Fields) { f.Ciphertext[4] ^= 'H' ^ 'J' }
	p := newPair(t, pq3.Policy{}, account.PQ3)
	p.talk(2)
	text, err := receiveOne(p.bob, p.alice, p.now, p.forge(p.alice, p.seal(p.alice, "Hello"), edit))
	if err != nil || text != "Jello" {
		t.Errorf("PQ3: %q, %v: the limit that SPEC §16 states is not there", text, err)
	}
	q := newPair(t, pq3.Policy{}, account.PQ3A)
	q.talk(2)
	q.refuses(q.bob, q.forge(q.alice, q.seal(q.alice, "Hello"), edit), "V-54", pq3.ErrUndecryptable)
}

// TestTA9WhatTheIndicatorDoesNotCover: the other fields that somebody with the
// signing keys alone can change in suite PQ3; FuzzForged looks for more. In PQ3A
// each of them breaks the tag. SPEC §16.5.
func TestTA9WhatTheIndicatorDoesNotCover(t *testing.T) {
	eves := pq3.FieldsOf(named(account.PQ3, "answers-and-advertises").wire).KEMKey
	edits := []struct {
		of, name string
		change   func(*pq3.Fields)
	}{
		{"plain", "associated data", func(f *pq3.Fields) { f.AuthData = []byte("not the sender's") }},
		{"plain", "previous length", func(f *pq3.Fields) { f.Previous += 2 }},
		{"start", "start time", func(f *pq3.Fields) { f.StartTime = flipped(f.StartTime, 7) }},
		{"advertises", "another KEM key", func(f *pq3.Fields) { f.KEMKey = eves }},
		{"answers", "a KEM key where there was none", func(f *pq3.Fields) { f.KEMKey, f.Flags = eves, f.Flags|1 }},
		{"objects-again", "objects left out", leaveOut},
		{earlierEpoch, "ratchet key of an earlier epoch", func(f *pq3.Fields) { f.RatchetKey = flipped(f.RatchetKey, 9) }},
		{earlierEpoch, "flags of an earlier epoch", func(f *pq3.Fields) { f.Flags, f.Digest = 0, nil }},
	}
	for _, suite := range bothSuites {
		for _, edit := range edits {
			d := named(suite, edit.of)
			_, err := d.open(pq3.Forge(d.from.Identity, d.to.Party(), d.wire, edit.change))
			if suite == account.PQ3 && err != nil {
				t.Errorf("PQ3: %s: %v: the limit that SPEC §16.5 states is not there", edit.name, err)
			} else if suite == account.PQ3A {
				wantRefusal(t, err, "V-54", pq3.ErrUndecryptable)
			}
		}
	}
}

// TestTA20CrossedStarts: both sides start at the same moment, with reordering;
// they settle on one session and lose nothing.
func TestTA20CrossedStarts(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, pq3.Policy{}, suite)
		fromAlice := [][]byte{p.seal(p.alice, "a0"), p.seal(p.alice, "a1"), p.seal(p.alice, "a2")}
		fromBob := [][]byte{p.seal(p.bob, "b0"), p.seal(p.bob, "b1"), p.seal(p.bob, "b2")}
		var got []string
		for _, i := range []int{2, 0, 1} {
			got = append(got, p.deliver(p.bob, fromAlice[i])...)
			got = append(got, p.deliver(p.alice, fromBob[i])...)
		}
		if len(got) != 6 {
			t.Errorf("%s: %d of 6 texts arrived: %v", suite, len(got), got)
		}
		p.talk(2)
		if a, b := p.alice.Sessions.Sending().ID(), p.bob.Sessions.Sending().ID(); a != b {
			t.Errorf("%s: Alice sends on %s, Bob on %s", suite, a, b)
		}
	}
}

// TestTA22CrashBetweenStoringAndSending: the process dies after every call.
// What was stored decides, and no position is ever sealed twice.
func TestTA22CrashBetweenStoringAndSending(t *testing.T) {
	p := newPair(t, pq3.Policy{EveryMessages: 3})
	sealed := map[string][]byte{}
	for i := range 200 {
		from := []*pq3test.Endpoint{p.alice, p.bob}[i/4%2]
		wire := p.seal(from, "stored before it is sent")
		if err := errors.Join(from.Restore(p.peer(from)), p.peer(from).Restore(from)); err != nil {
			t.Fatal(err)
		}
		position := string(wire[2:18]) // session, epoch, index
		if earlier, ok := sealed[position]; ok && !bytes.Equal(earlier, wire) {
			t.Fatalf("position %x sealed twice", position)
		}
		sealed[position] = wire
		if i%3 == 2 {
			continue // died before it was sent
		}
		if err := deliverAfterCrash(p, p.peer(from), wire); err != nil {
			t.Fatal(err)
		}
	}
}

// deliverAfterCrash opens a message twice from the same stored state, as after
// a crash before the commit, and then commits once.
func deliverAfterCrash(p *pair, to *pq3test.Endpoint, wire []byte) error {
	_, err := receiveOne(to, p.peer(to), p.now, wire)
	if errors.Is(err, pq3.ErrObjectsMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	p.deliver(to, wire)
	_, err = receiveOne(to, p.peer(to), p.now, wire)
	if !errors.Is(err, pq3.ErrReplay) {
		return errors.New("a second delivery after the commit was not a replay")
	}
	return nil
}

// TestTA24HighS: the twin (r, N-s) of a valid signature is refused.
func TestTA24HighS(t *testing.T) {
	order, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	p := newPair(t, pq3.Policy{})
	p.talk(2)
	wire := p.seal(p.alice, "one signature only")
	twin := bytes.Clone(wire)
	s := new(big.Int).SetBytes(wire[len(wire)-32:])
	new(big.Int).Sub(order, s).FillBytes(twin[len(twin)-32:])
	p.refuses(p.bob, twin, "V-35", pq3.ErrSignature)
	p.deliver(p.bob, wire)
}
