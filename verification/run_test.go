package verification

import (
	"errors"
	"reflect"
	"testing"

	"github.com/posthorn/posthorn/internal/machine"
)

const began = 1_000_000

// ends are two honest people who run the protocol.
type ends struct {
	alice, bob Person
	a, b       *Run
	offerA     Offer
	offerB     Offer
}

func started(d dice) ends {
	e := ends{alice: d.person(), bob: d.person()}
	e.a, e.offerA = Start(e.alice, e.bob, []byte("head of a"), began, d.read)
	e.b, e.offerB = Answer(e.offerA, e.bob, e.alice, []byte("head of b"), began, d.read)
	return e
}

// stored is a run that went through its stored form, as between two commands.
func stored(t testing.TB, r *Run) *Run {
	t.Helper()
	again, err := ParseRun(r.Marshal())
	if err != nil || !reflect.DeepEqual(again, r) {
		t.Fatalf("a stored run changed: %v", err)
	}
	return again
}

func TestBothEndsHaveOneCode(t *testing.T) {
	e := started(newDice(10))
	offer, err := ParseOffer(e.offerB.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	a, openA, err := stored(t, e.a).TakeOffer(offer, began+1)
	if err != nil {
		t.Fatal(err)
	}
	opening, err := ParseOpening(openA.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	b, openB, err := stored(t, e.b).TakeOpening(opening, began+2)
	if err != nil {
		t.Fatal(err)
	}
	a, _, err = stored(t, a).TakeOpening(openB, began+3)
	if err != nil || a.Code() != b.Code() || len(a.Code()) != ShortDigits {
		t.Fatalf("%q and %q, %v", a.Code(), b.Code(), err)
	}
	stored(t, a)
	if string(a.TheirHead()) != "head of b" || string(b.TheirHead()) != "head of a" || a.Role() != Starter || b.Role() != Responder {
		t.Error("the heads or roles are mixed up")
	}
}

func TestV247StepsAndRunsHaveExactlyTheirBytes(t *testing.T) {
	e := started(newDice(15))
	for n := range 48 + 2 {
		_, err := ParseOffer(e.offerA.Marshal()[:n])
		wantCheck(t, err, "V-247", ErrFrame)
		_, err = ParseOpening(make([]byte, n))
		wantCheck(t, err, "V-247", ErrFrame)
		_, err = ParseRun(e.a.Marshal()[:n])
		wantCheck(t, err, "V-247", ErrFrame)
	}
	_, err := ParseOffer(Offer{Head: make([]byte, MaxHead+1)}.Marshal())
	wantCheck(t, err, "V-247", ErrFrame)
	_, err = ParseRun(append(e.a.Marshal(), 0))
	wantCheck(t, err, "V-247", ErrFrame)
	other := e.a.Marshal()
	other[1] = 'C'
	_, err = ParseRun(other)
	wantCheck(t, err, "V-247", ErrFrame)
}

func TestV249StepsOutOfOrder(t *testing.T) {
	e := started(newDice(11))
	a, openA, _ := e.a.TakeOffer(e.offerB, began)
	b, openB, _ := e.b.TakeOpening(openA, began)
	done, _, _ := a.TakeOpening(openB, began)
	wrong := map[string]func() error{
		"opening before the offer":   func() error { _, _, err := e.a.TakeOpening(openB, began); return err },
		"second offer":               func() error { _, _, err := a.TakeOffer(e.offerB, began); return err },
		"offer to the responder":     func() error { _, _, err := e.b.TakeOffer(e.offerA, began); return err },
		"opening after the end":      func() error { _, _, err := done.TakeOpening(openB, began); return err },
		"opening after the end at b": func() error { _, _, err := b.TakeOpening(openA, began); return err },
	}
	for name, step := range wrong {
		t.Run(name, func(t *testing.T) { wantCheck(t, step(), "V-249", ErrOrder) })
	}
}

func TestV250OpeningThatWasNotCommittedTo(t *testing.T) {
	e := started(newDice(12))
	a, openA, _ := e.a.TakeOffer(e.offerB, began)
	for i := range 2 * nonceSize {
		raw := openA.Marshal()
		raw[i] ^= 1
		altered, _ := ParseOpening(raw)
		_, _, err := e.b.TakeOpening(altered, began)
		wantCheck(t, err, "V-250", ErrCommitment)
	}
	_, _, err := a.TakeOpening(openA, began) // reflected
	wantCheck(t, err, "V-250", ErrCommitment)
}

func TestV251RunThatTookTooLong(t *testing.T) {
	e := started(newDice(13))
	_, _, err := e.a.TakeOffer(e.offerB, began+RunLife+1)
	wantCheck(t, err, "V-251", ErrExpired)
	_, _, err = e.a.TakeOffer(e.offerB, began-1)
	wantCheck(t, err, "V-251", ErrExpired)
	a, openA, err := e.a.TakeOffer(e.offerB, began+RunLife)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = e.b.TakeOpening(openA, began+RunLife+1)
	wantCheck(t, err, "V-251", ErrExpired)
	_, _, err = a.TakeOpening(Opening{}, began+RunLife+1)
	wantCheck(t, err, "V-251", ErrExpired)
}

// T-A23: a man in the middle plays Bob to Alice and Alice to Bob. Each real end
// is bound to its nonce before it learns the other's, so he has to bind himself
// before he can compute anything, and is left with one guess for each run. The
// test plays his best order of steps and counts how often the last three digits
// agree: one time in a thousand, no more.
func TestManInTheMiddleGuesses(t *testing.T) {
	runs := machine.Count(10_000, 20_000, 60_000)
	d, hits := newDice(14), 0
	mallory := d.person()
	for range runs {
		atAlice, atBob := intercepted(t, d, mallory)
		if atAlice[5:] == atBob[5:] {
			hits++
		}
		if atAlice == atBob {
			t.Fatal("eight digits agreed; one run in 10^8 may do that")
		}
	}
	if most := runs/1000 + 40; hits > most || hits == 0 {
		t.Errorf("three digits agreed in %d of %d runs, want about %d", hits, runs, runs/1000)
	}
}

// intercepted is one run with Mallory in between; what each end reads out.
func intercepted(t *testing.T, d dice, mallory Person) (atAlice, atBob string) {
	alice, bob := d.person(), d.person()
	asBob, asAlice := Person{bob.Name, mallory.Account}, Person{alice.Name, mallory.Account}
	a, offerA := Start(alice, asBob, nil, began, d.read)
	m2b, offerM2B := Start(asAlice, bob, nil, began, d.read)
	b, offerB := Answer(offerM2B, bob, asAlice, nil, began, d.read)
	m2a, offerM2A := Answer(offerA, asBob, alice, nil, began, d.read)
	a, openA, err := a.TakeOffer(offerM2A, began)
	if err != nil {
		t.Fatal(err)
	}
	_, openM2A, err := m2a.TakeOpening(openA, began)
	if err != nil {
		t.Fatal(err)
	}
	a, _, err = a.TakeOpening(openM2A, began)
	if err != nil {
		t.Fatal(err)
	}
	// He knows what Alice will read out, and he is bound to what Bob will.
	m2b, openM2B, err := m2b.TakeOffer(offerB, began)
	if err != nil || m2b == nil {
		t.Fatal(err)
	}
	other := openM2B
	other.Nonce[0] ^= 1
	if _, _, err := b.TakeOpening(other, began); !errors.Is(err, ErrCommitment) {
		t.Fatal("he could still choose his nonce")
	}
	b, _, err = b.TakeOpening(openM2B, began)
	if err != nil {
		t.Fatal(err)
	}
	return a.Code(), b.Code()
}
