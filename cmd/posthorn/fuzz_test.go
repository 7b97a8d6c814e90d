package main

import (
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/decodertest"
)

// FuzzParsePeer: a person is written with or without one @, and is then the
// account's own name.
func FuzzParsePeer(f *testing.F) {
	decodertest.Seed(f, "with-at", "@bob")
	decodertest.Seed(f, "without", "bob")
	decodertest.Seed(f, "two", "@@bob")
	f.Fuzz(func(t *testing.T, arg string) {
		name, ok := decodertest.Frugal(t, []byte(arg), func(b []byte) (account.Name, error) { return parsePeer(string(b)) })
		plain, err := account.ParseName(arg)
		if ok && string(name) != arg && "@"+string(name) != arg || err == nil && name != plain {
			t.Fatalf("%q is %q, accepted: %v", arg, name, ok)
		}
	})
}
