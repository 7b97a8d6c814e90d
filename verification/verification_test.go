package verification

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/internal/reject"
)

// dice is a seeded source of people, nonces and choices.
type dice struct{ *rand.ChaCha8 }

func newDice(seed byte) dice { return dice{rand.NewChaCha8([32]byte{seed})} }

func (d dice) read(p []byte) { _, _ = d.Read(p) }

func (d dice) person() (p Person) {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	name := make([]byte, 3+d.Uint64()%20)
	for i := range name {
		name[i] = letters[d.Uint64()%26]
	}
	p.Name = account.Name(name)
	d.read(p.Account[:])
	return p
}

func wantCheck(t *testing.T, err error, check string, sentinel error) {
	t.Helper()
	var refused *reject.Error
	if !errors.As(err, &refused) || refused.Check != check || !errors.Is(err, sentinel) {
		t.Fatalf("got %v, want %s with %v", err, check, sentinel)
	}
}

func TestPairCodeIsTheSameAtBothEnds(t *testing.T) {
	d := newDice(1)
	alice, bob := d.person(), d.person()
	code := PairCode(alice, bob)
	if code != PairCode(bob, alice) || len(code) != PairDigits {
		t.Fatalf("%q and %q", code, PairCode(bob, alice))
	}
	for _, form := range []string{code, Grouped(code), Scannable(code), " " + strings.ReplaceAll(Grouped(code), " ", "-") + "\n"} {
		if got, err := ParsePairCode(form); err != nil || got != code {
			t.Errorf("%q: %q, %v", form, got, err)
		}
	}
	if strings.Count(Grouped(code), " ") != 11 {
		t.Errorf("%q is not 12 groups", Grouped(code))
	}
}

// A30: whatever bound field changes, the code changes.
func TestCodesDifferForAnyChange(t *testing.T) {
	pairs := machine.Count(20_000, 200_000, 1_000_000)
	d := newDice(2)
	for i := range pairs {
		a, b := d.person(), d.person()
		changed := a
		if i%2 == 0 {
			changed.Account[d.Uint64()%48] ^= 1 << (d.Uint64() % 8)
		} else {
			changed.Name += "x"
		}
		if PairCode(a, b) == PairCode(changed, b) || i%64 == 0 && PublicCode(a) == PublicCode(changed) {
			t.Fatalf("%v and %v have the same code", a, changed)
		}
	}
}

// The border between name and account id is bound too.
func TestCodeBindsWhereTheNameEnds(t *testing.T) {
	a, b := Person{Name: "bob"}, newDice(3).person()
	moved := Person{Name: "bo"}
	moved.Account[0] = 'b'
	if PairCode(a, b) == PairCode(moved, b) || PublicCode(a) == PublicCode(moved) {
		t.Error("a byte moved from the name into the id without a trace")
	}
}

func TestV245PairCodeOfTheWrongForm(t *testing.T) {
	good := PairCode(newDice(4).person(), newDice(5).person())
	for _, bad := range []string{"", good[1:], good + "1", "x" + good[1:], "POSTHORN:", strings.Repeat("٣", 60)} {
		_, err := ParsePairCode(bad)
		wantCheck(t, err, "V-245", ErrCode)
	}
}

func TestV246PublicCodeWithASlip(t *testing.T) {
	p := newDice(6).person()
	good := PublicCode(p)
	if got, err := ParsePublicCode(" " + good + "\n"); err != nil || got != good || len(good) != 51 {
		t.Fatalf("%q: %v", got, err)
	}
	for i := range good {
		slip := good[:i] + string(rune('A'+(good[i]+1)%26)) + good[i+1:]
		if slip == good {
			continue
		}
		_, err := ParsePublicCode(slip)
		wantCheck(t, err, "V-246", ErrCode)
	}
	for _, bad := range []string{"", "PHID1", good[:50], good + "A", good[:20] + "\n" + good[20:], good + "="} {
		_, err := ParsePublicCode(bad)
		wantCheck(t, err, "V-246", ErrCode)
	}
}

func TestShortCodeInWords(t *testing.T) {
	seen := map[string]bool{}
	for i := range 100 {
		word := Words(fmt.Sprintf("%02d", i))
		if word == "" || seen[word] {
			t.Errorf("%02d is %q, a second time", i, word)
		}
		seen[word] = true
	}
	for _, digits := range []string{"00000000", "12345678", "99999999", "09080706"} {
		for _, form := range []string{digits, Grouped(digits), Words(digits), strings.ToUpper(Words(digits))} {
			if got, err := ParseShortCode(form); err != nil || got != digits {
				t.Errorf("%q: %q, %v", form, got, err)
			}
		}
	}
}

func TestV248ShortCodeOfTheWrongForm(t *testing.T) {
	for _, bad := range []string{"", "1234567", "123456789", "acorn amber", "acorn amber anchor zebra", "acorn amber anchor apple arrow"} {
		_, err := ParseShortCode(bad)
		wantCheck(t, err, "V-248", ErrCode)
	}
}
