package visible

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/posthorn/posthorn/internal/decodertest"
)

func TestText(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain":            {"hello", "hello"},
		"newline stays":    {"a\nb", "a\nb"},
		"windows newline":  {"a\r\nb", "a\nb"},
		"lone return":      {"safe\revil", `safe\x0devil`},
		"tabulator":        {"a\tb", "a    b"},
		"clear screen":     {"\x1b[2J", `\x1b[2J`},
		"clipboard OSC 52": {"\x1b]52;c;ZXZpbA==\x07", `\x1b]52;c;ZXZpbA==\x07`},
		"link OSC 8":       {"\x1b]8;;http://a\x1b\\b", `\x1b]8;;http://a\x1b\b`},
		"C1 control":       {"\u009b31m", `\u009b31m`},
		"raw C1 byte":      {"\x9b31m", `\x9b31m`},
		"delete":           {"a\x7f", `a\x7f`},
		"nul":              {"a\x00b", `a\x00b`},
		"override":         {"a\u202etxt.exe", `a\u202etxt.exe`},
		"isolate":          {"\u2066a\u2069", `\u2066a\u2069`},
		"line separator":   {"a\u2028b", `a\u2028b`},
		"Arabic letters":   {"مرحبا", "مرحبا"},
		"joined emoji":     {"👩‍👩‍👧 🏴‍☠️", "👩‍👩‍👧 🏴‍☠️"},
		"broken UTF-8":     {"a\xffb", `a\xffb`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Text(c.in); got != c.want {
				t.Errorf("Text(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func TestBlockHoldsNoForgedLine(t *testing.T) {
	got := Block("hi\n12:00 @bob: send money", "    ")
	if want := "hi\n    12:00 @bob: send money"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJSONEscapesWhatTheEncoderLeaves(t *testing.T) {
	encoded, err := json.Marshal("a\x7f\u009b\u202eb")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(JSON(encoded)), `"a\u007f\u009b\u202eb"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzText(f *testing.F) {
	for name, seed := range map[string]string{
		"newlines": "a\r\nb\r\r\n\n", "colour": "\x1b[31m", "override": "\u202e\u009b", "broken": "\xff\xfe", "joined": "👩‍👧",
	} {
		decodertest.Seed(f, name, seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown := Text(s)
		checkQuiet(t, shown, "\n")
		if again := Text(shown); again != shown {
			t.Errorf("not stable: %q, then %q", shown, again)
		}
		encoded, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		quiet := JSON(encoded)
		checkQuiet(t, string(quiet), "")
		var before, after string
		if json.Unmarshal(encoded, &before) != nil || json.Unmarshal(quiet, &after) != nil || before != after {
			t.Errorf("JSON changed %q to %q", before, after)
		}
	})
}

// checkQuiet wants valid UTF-8 without any acting character but those allowed.
func checkQuiet(t *testing.T, s, allowed string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("not UTF-8: %q", s)
	}
	for _, r := range s {
		if acts(r) && !strings.ContainsRune(allowed, r) {
			t.Errorf("raw %U in %q", r, s)
		}
	}
}
