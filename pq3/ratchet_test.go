package pq3_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

func TestV35WrongSignerRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.talk(2)
	wire := p.seal(p.alice, "genuine")
	eve := pq3test.NewIdentity("eve")
	p.refuses(p.bob, pq3.Forge(eve, p.bob.Party(), wire, func(*pq3.Fields) {}), "V-35", pq3.ErrSignature)
	m, err := pq3.ParseMessage(wire)
	if err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, pq3.Verify(p.bob.Identity, account.Party{Account: p.alice.Party().Account, Device: eve.Party().Device}, m), "V-35", pq3.ErrSignature)
	if err := pq3.Verify(p.bob.Identity, p.alice.Party(), m); err != nil {
		t.Errorf("the genuine signer: %v", err)
	}
	p.deliver(p.bob, wire)
}

func TestV36OtherSuiteRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	classic := newPair(t, pq3.Policy{}, account.PQ3)
	wire := classic.seal(classic.alice, "downgraded")
	p.refuses(p.bob, wire, "V-36", pq3.ErrSuite)
	p.talk(2)
	p.refuses(p.bob, p.forge(p.alice, p.seal(p.alice, "x"), func(f *pq3.Fields) { f.Suite = account.PQ3 }), "V-36", pq3.ErrSuite)
	_, err := pq3.Initiate(p.alice.Identity, p.bob.Party(), classic.bob.Bundle(), pq3.InitiateOptions{}, p.now, p.alice.Ent)
	wantRefusal(t, err, "V-36", pq3.ErrSuite)
	_, err = pq3.Initiate(p.alice.Identity, classic.bob.Party(), classic.bob.Bundle(), pq3.InitiateOptions{}, p.now, p.alice.Ent)
	wantRefusal(t, err, "V-36", pq3.ErrSuite)
}

func TestV38ObjectsThatDifferFromTheirDigestOrTheirChainRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.say(p.alice, 1)
	first := p.seal(p.bob, "advertises")
	flip := func(f *pq3.Fields) { f.KEMKey = flipped(f.KEMKey, 5); f.KeepDigest = true }
	p.refuses(p.alice, p.forge(p.bob, first, flip), "V-38", pq3.ErrHeader)
	p.deliver(p.alice, first)
	second := p.seal(p.bob, "carries them again")
	p.refuses(p.alice, p.forge(p.bob, second, flip), "V-38", pq3.ErrHeader)
	p.deliver(p.alice, second)
}

func TestV39HeaderFieldsAreConstantWithinAChain(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.say(p.alice, 1)
	p.say(p.bob, 2)
	wire := p.seal(p.bob, "third, without objects")
	for name, change := range map[string]func(*pq3.Fields){
		"ratchet key":     func(f *pq3.Fields) { f.RatchetKey = flipped(f.RatchetKey, 3) },
		"previous length": func(f *pq3.Fields) { f.Previous++ },
		"flags":           func(f *pq3.Fields) { f.Flags = 3 },
		"digest":          func(f *pq3.Fields) { f.Digest = flipped(f.Digest, 0) },
	} {
		t.Run(name, func(t *testing.T) { p.refuses(p.alice, p.forge(p.bob, wire, change), "V-39", pq3.ErrHeader) })
	}
	p.deliver(p.alice, wire)
}

func TestV46EpochOfTheOtherDirectionRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.talk(4)
	wire := p.seal(p.alice, "x")
	for _, step := range []uint32{1, 3} {
		p.refuses(p.bob, p.forge(p.alice, wire, func(f *pq3.Fields) { f.Epoch += step }), "V-46", pq3.ErrHeader)
	}
}

func TestV47EpochOutOfReachIsUndecryptable(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.talk(4)
	wire := p.seal(p.alice, "x")
	for _, step := range []uint32{2, 4, 1000} {
		p.refuses(p.bob, p.forge(p.alice, wire, func(f *pq3.Fields) { f.Epoch += step }), "V-47", pq3.ErrUndecryptable)
	}
}

// TestTA2ReplayOfAnyMessage: every message of a conversation is delivered
// again, at once and after a restart.
func TestTA2ReplayOfAnyMessage(t *testing.T) {
	t.Run("V-48 a position opens once", func(t *testing.T) {
		for _, suite := range bothSuites {
			p := newPair(t, pq3.Policy{}, suite)
			type sent struct {
				to   *pq3test.Endpoint
				wire []byte
			}
			var all []sent
			for i := range 60 {
				from := []*pq3test.Endpoint{p.alice, p.bob}[i/3%2]
				all = append(all, sent{p.peer(from), p.say(from, 1)[0]})
			}
			for range 2 {
				for _, s := range all {
					before := s.to.Fingerprint()
					_, err := receiveOne(s.to, p.peer(s.to), p.now, s.wire)
					if !errors.Is(err, pq3.ErrReplay) || s.to.Fingerprint() != before {
						t.Fatalf("%s: replay gave %v", suite, err)
					}
				}
				if err := errors.Join(p.alice.Restore(p.bob), p.bob.Restore(p.alice)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestTA6PeerOmitsTheKEMAnswer: signed by the peer in every part, and refused;
// the honest message works afterwards.
func TestTA6PeerOmitsTheKEMAnswer(t *testing.T) {
	t.Run("V-49 the answer is mandatory", func(t *testing.T) {
		p := newPair(t, pq3.Policy{})
		p.talk(1)
		_, stripped, err := pq3.ForgetPeerKEM(p.alice.Sessions.Sending()).Seal(p.alice.Ent, p.now, []byte("no answer"), nil)
		if err != nil {
			t.Fatal(err)
		}
		p.refuses(p.bob, stripped, "V-49", pq3.ErrRekeyMissing)
		p.say(p.alice, 1)
	})
}

// TestTA7PeerCorruptsTheKEMCiphertext: decapsulation never fails by itself, so
// it has to show at the tag or indicator.
func TestTA7PeerCorruptsTheKEMCiphertext(t *testing.T) {
	t.Run("V-54 tag or indicator differs", func(t *testing.T) {
		for _, suite := range bothSuites {
			p := newPair(t, pq3.Policy{}, suite)
			p.talk(1)
			wire := p.seal(p.alice, "answers")
			for _, at := range []int{0, 500, 1087} {
				bad := p.forge(p.alice, wire, func(f *pq3.Fields) { f.KEMCiphertext = flipped(f.KEMCiphertext, at) })
				p.refuses(p.bob, bad, "V-54", pq3.ErrUndecryptable)
			}
			p.deliver(p.bob, wire)
		}
	})
}

// TestTA8UnexpectedObjects: an answer to nothing, a KEM key in epoch 0, start
// objects later on.
func TestTA8UnexpectedObjects(t *testing.T) {
	t.Run("V-50 an answer that nobody asked for", func(t *testing.T) {
		p := newPair(t, pq3.Policy{})
		p.talk(3)
		wire := p.seal(p.alice, "plain")
		bad := p.forge(p.alice, wire, func(f *pq3.Fields) { f.Flags = 0x82; f.KEMCiphertext = make([]byte, 1088) })
		p.refuses(p.bob, bad, "V-50", pq3.ErrHeader)
		p.deliver(p.bob, wire)
	})
	t.Run("V-31 objects of another epoch", func(t *testing.T) {
		p, all := wires(t, account.PQ3A)
		start := p.forge(p.alice, all[0], func(f *pq3.Fields) { f.Flags = 0x87; f.KEMKey = make([]byte, 1184) })
		parseRefused(t, start, "V-31", pq3.ErrMalformed)
		later := p.forge(p.bob, all[1], func(f *pq3.Fields) { f.Flags = 0x85; f.PrekeyHash = make([]byte, 48); f.KeepStartNames = true })
		parseRefused(t, later, "V-31", pq3.ErrMalformed)
	})
}

func TestV51RatchetKeyOffTheCurveRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.talk(3)
	wire := p.seal(p.alice, "opens an epoch")
	for _, x := range [][]byte{bytes.Repeat([]byte{0xff}, 32), offCurve()} {
		p.refuses(p.bob, p.forge(p.alice, wire, func(f *pq3.Fields) { f.RatchetKey = x }), "V-51", pq3.ErrHeader)
	}
	p.deliver(p.bob, wire)
	q := newPair(t, pq3.Policy{})
	start := q.seal(q.alice, "start")
	q.refuses(q.bob, q.forge(q.alice, start, func(f *pq3.Fields) { f.RatchetKey = offCurve() }), "V-51", pq3.ErrHeader)
}

func TestV52UnreducedKEMKeyRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.say(p.alice, 1)
	wire := p.seal(p.bob, "advertises")
	bad := p.forge(p.bob, wire, func(f *pq3.Fields) { f.KEMKey = bytes.Repeat([]byte{0xff}, 1184) })
	p.refuses(p.alice, bad, "V-52", pq3.ErrHeader)
	p.deliver(p.alice, wire)
}

func TestV53PreviousLengthBelowWhatArrivedRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.say(p.alice, 1)
	wire := p.seal(p.bob, "no chain of Bob's before this")
	p.refuses(p.alice, p.forge(p.bob, wire, func(f *pq3.Fields) { f.Previous = 1 }), "V-53", pq3.ErrHeader)
	p.deliver(p.alice, wire)
	p.say(p.alice, 3)
	p.say(p.bob, 1)
	next := p.seal(p.alice, "the chain before had 3")
	p.refuses(p.bob, p.forge(p.alice, next, func(f *pq3.Fields) { f.Previous = 2 }), "V-53", pq3.ErrHeader)
	p.deliver(p.bob, next)
}

func TestV56MessageWaitsForItsObjects(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	start := p.seal(p.alice, "start")
	p.seal(p.alice, "carries it again")
	without := p.seal(p.alice, "does not")
	p.refuses(p.bob, without, "V-56", pq3.ErrObjectsMissing)
	p.deliver(p.bob, start)
	p.deliver(p.bob, without)

	advert := p.seal(p.bob, "advertises")
	p.seal(p.bob, "too")
	later := p.seal(p.bob, "does not carry")
	p.refuses(p.alice, later, "V-56", pq3.ErrObjectsMissing)
	if !p.alice.Sessions.Sending().Sending() {
		t.Error("the epoch was entered without its objects")
	}
	p.deliver(p.alice, advert)
	p.deliver(p.alice, later)
}

func TestV57HealingContractStopsSending(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.talk(2)
	s := p.alice.Sessions.Sending()
	last := s.Status(p.now).LastRekey
	for age, ok := range map[time.Duration]bool{7*24*time.Hour - time.Millisecond: true, 7 * 24 * time.Hour: false} {
		_, _, err := s.Seal(p.alice.Ent, last.Add(age), []byte("x"), nil)
		if ok && err != nil {
			t.Errorf("after %v: %v", age, err)
		} else if !ok {
			wantRefusal(t, err, "V-57", pq3.ErrNewSessionNeeded)
		}
	}
	for i := range 500 {
		next, _, err := s.Seal(p.alice.Ent, p.now, []byte("x"), nil)
		if err != nil {
			t.Fatalf("message %d of a chain: %v", i, err)
		}
		s = next
	}
	_, _, err := s.Seal(p.alice.Ent, p.now, []byte("x"), nil)
	wantRefusal(t, err, "V-57", pq3.ErrNewSessionNeeded)
}

func TestV58TooLargeToSeal(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.talk(2)
	s := p.alice.Sessions.Sending()
	for _, c := range []struct{ text, associated int }{{pq3.MaxMessage + 1, 0}, {pq3.MaxMessage - 100, 0}, {1, 1025}} {
		_, _, err := s.Seal(p.alice.Ent, p.now, make([]byte, c.text), make([]byte, c.associated))
		wantRefusal(t, err, "V-58", pq3.ErrTooLarge)
	}
	if _, _, err := s.Seal(p.alice.Ent, p.now, make([]byte, 70_000), make([]byte, 1024)); err != nil {
		t.Errorf("a 64 KiB text with its frame: %v", err)
	}
}

func TestV60LooserPolicyRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	for _, policy := range []pq3.Policy{{EveryMessages: 51}, {Every: 25 * time.Hour}, {Hard: 8 * 24 * time.Hour}, {EveryMessages: -1}} {
		_, err := pq3.Initiate(p.alice.Identity, p.bob.Party(), p.bob.Bundle(), pq3.InitiateOptions{Policy: policy}, p.now, p.alice.Ent)
		wantRefusal(t, err, "V-60", pq3.ErrPolicy)
	}
}

func TestV68MessageOfAnotherSessionRefused(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.talk(2)
	q := newPair(t, pq3.Policy{})
	q.talk(2)
	wire := p.forge(p.alice, p.seal(p.alice, "x"), func(f *pq3.Fields) { f.Session[0] ^= 1 })
	p.refuses(p.bob, wire, "V-68", pq3.ErrSessionUnknown)
	m, err := pq3.ParseMessage(wire)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = p.bob.Sessions.Sending().Open(p.now, m)
	wantRefusal(t, err, "V-68", pq3.ErrSessionUnknown)
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// offCurve is an x below the field prime that belongs to no point of P-256.
func offCurve() []byte { return append(make([]byte, 31), 1) }
