package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

// FuzzParseConfig: whatever stands in a file, every setting has a key and the
// line it stands on, and every error names a line of the file.
func FuzzParseConfig(f *testing.F) {
	decodertest.Seed(f, "good", []byte("# ours\nlisten = \"127.0.0.1:7480\"\nmax-streams = 1_000\nopen-registration = true\n"))
	decodertest.Seed(f, "section", []byte("[limits]\na.b = 1.5\n"))
	decodertest.Seed(f, "nested", []byte("a = [{b = '''\n\n'''}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4<<10 {
			return
		}
		lines := strings.Count(string(text), "\n") + 1
		settings, err := parseConfig(text)
		if wrong, ok := errors.AsType[*lineError](err); err != nil && (!ok || wrong.line < 1 || wrong.line > lines) {
			t.Fatalf("an error without a line: %v", err)
		}
		for _, s := range settings {
			if s.line < 1 || s.line > lines || s.key == "" && !strings.Contains(string(text), `""`) && !strings.Contains(string(text), "''") {
				t.Fatalf("%+v in %d lines", s, lines)
			}
		}
	})
}

// FuzzQuantities: parseSize, parseDuration, parseRate and parseCount take what
// their own texts say, and give it back.
func FuzzQuantities(f *testing.F) {
	for _, text := range []string{"64MiB", "30d", "1h30m", "20:300", "4MiB:64MiB", "18446744073709551615B"} {
		decodertest.Seed(f, strings.NewReplacer(":", "-").Replace(text), text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parseSize(text); err == nil {
			if again, err := parseSize(sizeText(n)); err != nil || again != n {
				t.Fatalf("%q is %d, written %q", text, n, sizeText(n))
			}
		}
		if d, err := parseDuration(text); err == nil {
			if again, err := parseDuration(durationText(d)); err != nil || again != d {
				t.Fatalf("%q is %d, written %q", text, d, durationText(d))
			}
		}
		if r, err := parseRate(text, parseCount); err == nil {
			if again, err := parseRate(pace{&r}.String(), parseCount); err != nil || again != r {
				t.Fatalf("%q is %v, written %q", text, r, pace{&r})
			}
		}
		if r, err := parseRate(text, parseSize); err == nil {
			if again, err := parseRate(flow{to: &r}.String(), parseSize); err != nil || again != r {
				t.Fatalf("%q is %v, written %q", text, r, flow{to: &r})
			}
		}
	})
}
