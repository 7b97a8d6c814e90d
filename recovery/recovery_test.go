package recovery

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

// counted is the secret 0, 1, 2 and so on.
func counted() (s secret.Key) {
	for i := range s {
		s[i] = byte(i)
	}
	return s
}

func refusedBy(t *testing.T, err error, check string) {
	t.Helper()
	var refusal *reject.Error
	if !errors.Is(err, ErrPhrase) || !errors.As(err, &refusal) || refusal.Check != check {
		t.Fatalf("%v, wanted %s", err, check)
	}
}

func TestListIsOneWordForEachByte(t *testing.T) {
	list := words()
	if len(list) != 256 || !slices.IsSorted(list) {
		t.Fatalf("%d words, or out of order", len(list))
	}
	beginnings := map[string]bool{}
	for _, w := range list {
		if len(w) < 4 || len(w) > 8 || w != strings.ToLower(w) || beginnings[w[:3]] {
			t.Errorf("%q is too short, too long, or begins like another word", w)
		}
		beginnings[w[:3]] = true
	}
}

func TestPhraseOfEverySecretComesBack(t *testing.T) {
	for i := range 256 {
		s := secret.Key(sha256.Sum256([]byte{byte(i)}))
		text := Words(&s)
		numbered := ""
		for n, w := range strings.Fields(text) {
			numbered += strings.Repeat(" ", n%3) + string(rune('0'+n%10)) + ". " + strings.ToUpper(w) + "\n"
		}
		for _, form := range []string{text, " " + strings.ReplaceAll(text, " ", "\n") + "\n", numbered} {
			got, err := Parse(form)
			if err != nil || got != s {
				t.Fatalf("%q: %v", form, err)
			}
		}
	}
}

func TestV265WrongCountIsRefused(t *testing.T) {
	s := counted()
	said := strings.Fields(Words(&s))
	for _, text := range []string{"", strings.Join(said[:32], " "), strings.Join(append(said, "zone"), " "), strings.Repeat("zone ", 2000)} {
		_, err := Parse(text)
		refusedBy(t, err, "V-265")
	}
}

func TestV266WordOffTheListIsNamed(t *testing.T) {
	s := counted()
	said := strings.Fields(Words(&s))
	said[6] = "tigre"
	_, err := Parse(strings.Join(said, " "))
	refusedBy(t, err, "V-266")
	var unlisted *UnlistedError
	if !errors.As(err, &unlisted) || unlisted.Place != 7 || unlisted.Word != "tigre" || strings.Contains(err.Error(), "tigre") {
		t.Error(err)
	}
}

// Every slip of one word, and every exchange of two, is caught: not most.
func TestV267EverySlipIsCaught(t *testing.T) {
	s, list := secret.Key(sha256.Sum256([]byte("slips"))), words()
	said := strings.Fields(Words(&s))
	for i := range said {
		for _, w := range list {
			if w == said[i] {
				continue
			}
			slip := slices.Clone(said)
			slip[i] = w
			_, err := Parse(strings.Join(slip, " "))
			refusedBy(t, err, "V-267")
		}
		for j := range i {
			if said[i] == said[j] {
				continue
			}
			slip := slices.Clone(said)
			slip[i], slip[j] = slip[j], slip[i]
			_, err := Parse(strings.Join(slip, " "))
			refusedBy(t, err, "V-267")
		}
	}
}

func TestVectors(t *testing.T) {
	s := counted()
	if got := Words(&s); got != vectorPhrase {
		t.Errorf("phrase %q", got)
	}
	for i, want := range []string{vectorMLDSA, vectorECDSA} {
		if b := block(&s, byte(i)); hex.EncodeToString(b[:]) != want {
			t.Errorf("block %d is %x", i, b[:])
		}
	}
	key, err := Key(&s)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := Key(&s)
	if !key.Public().Equal(again.Public()) {
		t.Error("one secret, two keys")
	}
	digest := key.Public().Digest()
	if got := hex.EncodeToString(digest[:]); got != vectorDigest {
		t.Errorf("digest %s", got)
	}
	s[31] ^= 1
	if other, _ := Key(&s); other.Public().Equal(key.Public()) {
		t.Error("two secrets, one key")
	}
}

func TestDrawTakesWhatItIsGiven(t *testing.T) {
	want := counted()
	if got := Draw(func(b []byte) { copy(b, want[:]) }); got != want {
		t.Error("other bytes than the ones given")
	}
}

const (
	// The check word and the two blocks were computed outside this package.
	vectorPhrase = "admiral airport album almond amber anchor angle arcade armor artist aspen athlete atlas attic autumn avenue " +
		"avocado badge bakery balcony bamboo banana barley basket beach bedroom beetle bison bonfire border bracelet breeze pencil"
	vectorMLDSA  = "62498ed6236e5f7ad0107040668b71adbd912a4cf9a748c42022d237b26d868a"
	vectorECDSA  = "b5817469f7e7c0fc3a6a40efb6ed6a7f770ea44e1af635a2b38ddfc927912d5e"
	vectorDigest = "587c9f5952bc63601037cd1a45677063c9ee4270a32811a20e4052efe14c54a336bb36d10dfb2299a22fe9d6280c064f"
)
