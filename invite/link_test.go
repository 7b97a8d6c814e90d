package invite

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/internal/reject"
)

var (
	hash    = strings.Repeat("0123456789abcdef", 4)
	someone = "AAECAwQFBgcICQoLDA0ODxAR" // the bytes 0 to 17
)

func TestLinks(t *testing.T) {
	for raw, server := range map[string]string{
		"https://chat.example/i/" + someone:                        "https://chat.example",
		"https://chat.example:7480/i/" + someone:                   "https://chat.example:7480",
		"https://192.0.2.7:7480/i/" + someone + "#sha256=" + hash:  "https://192.0.2.7:7480",
		"https://[2001:db8::1]:1/i/" + someone + "#sha256=" + hash: "https://[2001:db8::1]:1",
		"http://127.0.0.1:7480/i/" + someone:                       "http://127.0.0.1:7480",
		"http://localhost/i/" + someone:                            "http://localhost",
	} {
		l, err := Parse(raw)
		if err != nil || l.Server != server || l.Token[17] != 17 || (l.Pin != nil) != strings.Contains(raw, "#") {
			t.Errorf("%s: %q, %v", raw, l.Server, err)
		}
		if l.String() != raw {
			t.Errorf("%s is written as %s", raw, l)
		}
		if l.Pin != nil && (l.Pin[0] != 0x01 || l.Pin[31] != 0xef) {
			t.Errorf("hash %x", *l.Pin)
		}
	}
}

// TestV150V151V152Links: what is not exactly a link is none.
func TestV150V151V152Links(t *testing.T) {
	for raw, check := range map[string]string{
		"": "V-151", "https://chat.example": "V-151", "https://chat.example/i/": "V-151",
		"https://chat.example/j/" + someone:                                      "V-151",
		"https://chat.example/i/" + someone[1:]:                                  "V-151",
		"https://chat.example/i/" + someone + "A":                                "V-151",
		"https://chat.example/i/" + someone + "/":                                "V-151",
		"https://chat.example/i/" + someone + "?x":                               "V-151",
		"https://chat.example/i/" + someone[1:] + "+":                            "V-151",
		"https://chat.example/i/" + someone[1:] + "=":                            "V-151",
		"https://chat.example/i/" + someone[1:] + "\n":                           "V-151",
		"chat.example/i/" + someone:                                              "V-150",
		"http://chat.example/i/" + someone:                                       "V-150",
		"http://127.0.0.1.evil.example/i/" + someone:                             "V-150",
		"ftp://chat.example/i/" + someone:                                        "V-150",
		"https:///i/" + someone:                                                  "V-150",
		"https://user@chat.example/i/" + someone:                                 "V-150",
		"https://chat.example/x/i/" + someone:                                    "V-150",
		"https://chat.example//i/" + someone:                                     "V-150",
		"https://chat.example?x/i/" + someone:                                    "V-150",
		"https://chat.example:/i/" + someone:                                     "V-150",
		"https://chat.example:0/i/" + someone:                                    "V-150",
		"https://chat.example:65536/i/" + someone:                                "V-150",
		"HTTPS://chat.example/i/" + someone:                                      "V-150",
		"https://" + strings.Repeat("a", 600) + "/i/" + someone:                  "V-150",
		"https://chat.example/i/" + someone + "#":                                "V-152",
		"https://chat.example/i/" + someone + "#sha256=":                         "V-152",
		"https://chat.example/i/" + someone + "#" + hash:                         "V-152",
		"https://chat.example/i/" + someone + "#sha256=" + hash[2:]:              "V-152",
		"https://chat.example/i/" + someone + "#sha256=" + strings.ToUpper(hash): "V-152",
		"https://chat.example/i/" + someone + "#sha256=" + hash + "#":            "V-152",
		"http://127.0.0.1:1/i/" + someone + "#sha256=" + hash:                    "V-152",
	} {
		l, err := Parse(raw)
		refused, ok := errors.AsType[*reject.Error](err)
		if !ok || refused.Check != check || !errors.Is(err, ErrInvite) || l.Server != "" {
			t.Errorf("%q: %v, want %s", raw, err, check)
		}
		if err != nil && strings.Contains(err.Error(), someone) {
			t.Errorf("%q: the error shows the token: %v", raw, err)
		}
	}
}

func TestTokenIsNotPrinted(t *testing.T) {
	l, err := Parse("https://chat.example/i/" + someone)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%s", "%x", "%#v", "%q"} {
		if text := fmt.Sprintf(verb, l.Token); strings.Contains(text, someone) || strings.Contains(text, "00010203") {
			t.Errorf("%s shows %s", verb, text)
		}
	}
	if l.Token.Hash() == (Token{}).Hash() {
		t.Error("two tokens have one hash")
	}
}

// FuzzParse: what Parse takes, and ParseServer and ParseToken below it, is
// written back as it was.
func FuzzParse(f *testing.F) {
	for name, seed := range map[string]string{
		"https": "https://chat.example/i/" + someone, "pinned": "https://192.0.2.7:7480/i/" + someone + "#sha256=" + hash,
		"loopback": "http://[::1]:7480/i/" + someone, "no-token": "https://chat.example/i/", "two": "https://chat.example/i/x/i/" + someone,
	} {
		decodertest.Seed(f, name, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, func(b []byte) (Link, error) { return Parse(string(b)) }, func(l Link) []byte { return []byte(l.String()) })
	})
}
