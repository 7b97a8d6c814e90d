package verification

import (
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

func FuzzParseOffer(f *testing.F) {
	e := started(newDice(20))
	decodertest.Seed(f, "offer", e.offerA.Marshal())
	decodertest.Seed(f, "no-head", Offer{Commitment: [48]byte{1}}.Marshal())
	f.Fuzz(func(t *testing.T, b []byte) { decodertest.Canonical(t, b, ParseOffer, Offer.Marshal) })
}

func FuzzParseOpening(f *testing.F) {
	decodertest.Seed(f, "opening", Opening{Nonce: [32]byte{1}}.Marshal())
	decodertest.Seed(f, "short", Opening{}.Marshal()[:63])
	f.Fuzz(func(t *testing.T, b []byte) { decodertest.Canonical(t, b, ParseOpening, Opening.Marshal) })
}

func FuzzParseRun(f *testing.F) {
	e := started(newDice(21))
	a, open, _ := e.a.TakeOffer(e.offerB, began)
	b, _, _ := e.b.TakeOpening(open, began)
	decodertest.Seed(f, "begun", e.a.Marshal())
	decodertest.Seed(f, "bound", a.Marshal())
	decodertest.Seed(f, "done", b.Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) { decodertest.Canonical(t, raw, ParseRun, (*Run).Marshal) })
}

func FuzzParsePairCode(f *testing.F) {
	code := PairCode(newDice(22).person(), newDice(23).person())
	decodertest.Seed(f, "grouped", Grouped(code))
	decodertest.Seed(f, "scanned", Scannable(code))
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := ParsePairCode(s); err == nil && (len(got) != PairDigits || got != onlyDigits(got)) {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

func FuzzParsePublicCode(f *testing.F) {
	decodertest.Seed(f, "code", PublicCode(newDice(24).person()))
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := ParsePublicCode(s); err == nil {
			if again, err := ParsePublicCode(got); err != nil || again != got {
				t.Fatalf("%q became %q, then %q", s, got, again)
			}
		}
	})
}

func FuzzParseShortCode(f *testing.F) {
	decodertest.Seed(f, "digits", "1234 5678")
	decodertest.Seed(f, "words", Words("12345678"))
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := ParseShortCode(s); err == nil && (len(got) != ShortDigits || got != onlyDigits(got)) {
			t.Fatalf("%q became %q", s, got)
		}
	})
}
