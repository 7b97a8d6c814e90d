package pairing

import (
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

func FuzzParseCode(f *testing.F) {
	decodertest.Seed(f, "grouped", NewCode(newDice(30).Read).Text())
	decodertest.Seed(f, "short", "ABCDE")
	f.Fuzz(func(t *testing.T, s string) {
		if code, err := ParseCode(s); err == nil {
			if again, err := ParseCode(code.Text()); err != nil || again != code {
				t.Fatalf("%q is another code when it is written back: %v", s, err)
			}
		}
	})
}

func FuzzParseInvitation(f *testing.F) {
	decodertest.Seed(f, "pinned", newDice(31).invitation().Marshal())
	decodertest.Seed(f, "bare", (&Invitation{Name: "bob", Seq: 1}).Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, ParseInvitation, (*Invitation).Marshal)
	})
}

func FuzzParseApplication(f *testing.F) {
	d := newDice(32)
	whole := d.application(f, d.invitation()).Marshal()
	decodertest.Seed(f, "whole", whole)
	decodertest.Seed(f, "cut", whole[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, ParseApplication, (*Application).Marshal)
	})
}

func FuzzParseVerdict(f *testing.F) {
	decodertest.Seed(f, "linked", Linked.Marshal())
	decodertest.Seed(f, "none", []byte{kindVerdict, 0})
	f.Fuzz(func(t *testing.T, b []byte) { decodertest.Canonical(t, b, ParseVerdict, Verdict.Marshal) })
}

func FuzzJoin(f *testing.F) {
	p := paired(f, 33)
	decodertest.Seed(f, "hello", p.hello)
	decodertest.Seed(f, "empty", []byte{})
	f.Fuzz(func(t *testing.T, hello []byte) {
		if _, _, err := Join(p.code, hello, p.invitation, began, newDice(34)); err == nil && string(hello) != string(p.hello) {
			t.Fatal("a hello of nobody was accepted")
		}
	})
}

func FuzzFinish(f *testing.F) {
	p := paired(f, 35)
	decodertest.Seed(f, "hello", p.hello)
	decodertest.Seed(f, "empty", []byte{})
	f.Fuzz(func(t *testing.T, reply []byte) {
		if _, _, err := p.waiting.Finish(reply, began); err == nil && string(reply) != string(p.reply) {
			t.Fatal("an answer of nobody was accepted")
		}
	})
}

func FuzzOpen(f *testing.F) {
	p := paired(f, 36)
	decodertest.Seed(f, "short", []byte("not sealed"))
	decodertest.Seed(f, "long", make([]byte, 200))
	f.Fuzz(func(t *testing.T, message []byte) {
		if _, _, err := p.old.Open(message, began); err == nil {
			t.Fatal("a message of nobody was opened")
		}
	})
}
