package client

import (
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/internal/visible"
)

func TestA46HostileNamesAreMadeSafe(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, want := range map[string]string{
		"minutes.pdf":             "minutes.pdf",
		"Протокол №1 (2).pdf":     "Протокол №1 (2).pdf",
		"写真 🎺.jpg":                "写真 🎺.jpg",
		"it's 100% & more!.txt":   "it's 100% & more!.txt",
		"../../etc/passwd":        "passwd",
		"/etc/passwd":             "passwd",
		`..\..\boot.ini`:          "boot.ini",
		`C:\Windows\win.ini`:      "win.ini",
		"C:evil.txt":              "C_evil.txt",
		"a/":                      "attachment",
		"..":                      "attachment",
		".":                       "attachment",
		"":                        "attachment",
		"   ":                     "attachment",
		"...":                     "attachment",
		".bashrc":                 "_bashrc",
		".ssh/authorized_keys":    "authorized_keys",
		"-rf":                     "_rf",
		"--help.txt":              "_help.txt",
		"~root":                   "_root",
		"a\x00.jpg":               "a_.jpg",
		"a.jpg\n\x1b[2Jb":         "a.jpg__[2Jb",
		"photo\u202egpj.exe":      "photo_gpj.exe",
		"a\u200b\u2066b\ufeff":    "a__b_",
		"line\u2028break\u0085":   "line_break_",
		"broken\xff\xfe.txt":      "broken_.txt",
		"what?<is>|this*\".txt":   "what__is__this__.txt",
		"stream.txt:hidden":       "stream.txt_hidden",
		"name.txt. . .":           "name.txt",
		" spaced .txt ":           "spaced .txt",
		"CON":                     "_CON",
		"con.txt":                 "_con.txt",
		"nul .tar.gz":             "_nul .tar.gz",
		"COM1":                    "_COM1",
		"lpt9.log":                "_lpt9.log",
		"COM²":                    "_COM²",
		"CONIN$":                  "_CONIN$",
		"COM":                     "COM",
		"COM10":                   "COM10",
		"console.txt":             "console.txt",
		long + ".pdf":             long[:196] + ".pdf",
		"x." + long:               "x." + long[:198],
		strings.Repeat("ü", 150):  strings.Repeat("ü", 100),
		"CON" + "\u00a0" + ".txt": "CON_.txt",
	} {
		if got := SafeName(name); got != want {
			t.Errorf("SafeName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestNumberedNamesKeepTheirEnding(t *testing.T) {
	for n, want := range map[int]string{1: "a.tar.gz", 2: "a.tar (2).gz", 10: "a.tar (10).gz"} {
		if got := numbered("a.tar.gz", n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	if got := numbered("plain", 2); got != "plain (2)" {
		t.Errorf("%q", got)
	}
}

// FuzzSafeName: whatever the name, the result is one file in one folder, that
// shows itself as it is, on every system.
func FuzzSafeName(f *testing.F) {
	for name, text := range map[string]string{
		"path": "../../etc/passwd", "device": "con .txt", "hidden": ".profile", "reversed": "a\u202egpj.exe",
		"long": strings.Repeat("é", 130) + ".pdf", "broken": "\xff\x00/..", "dots": ". . ..", "numbered": "_.-~x",
	} {
		decodertest.Seed(f, name, text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := SafeName(s)
		switch {
		case got == "", len(got) > maxSafeName, !utf8.ValidString(got), strings.ContainsAny(got, `/\:*?"<>|`+"\x00\n"):
			t.Fatalf("%q for %q", got, s)
		case got != path.Base(got) || got == "." || got == "..":
			t.Fatalf("%q for %q is a path", got, s)
		case strings.ContainsAny(got[:1], ".-~ ") || strings.ContainsAny(got[len(got)-1:], ". "):
			t.Fatalf("%q for %q begins or ends badly", got, s)
		case isDevice(got):
			t.Fatalf("%q for %q is a device", got, s)
		case visible.Text(got) != got:
			t.Fatalf("%q for %q acts on a terminal", got, s)
		case SafeName(got) != got:
			t.Fatalf("%q for %q is not safe: %q", got, s, SafeName(got))
		}
	})
}
