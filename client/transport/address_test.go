package transport

import (
	"errors"
	"testing"
)

func TestV100ServerAddress(t *testing.T) {
	for raw, want := range map[string]string{
		"https://example.org":     "https://example.org",
		"https://example.org:99/": "https://example.org:99",
		"http://127.0.0.1:8080":   "http://127.0.0.1:8080",
		"http://[::1]:8080":       "http://[::1]:8080",
		"http://localhost:1":      "http://localhost:1",
	} {
		if u, err := ParseAddress(raw); err != nil || u.String() != want {
			t.Errorf("%s: %v, %v", raw, u, err)
		}
	}
	for _, raw := range []string{
		"", "example.org", "http://example.org", "http://10.0.0.1:80", "http://127.0.0.1.evil.org",
		"ftp://127.0.0.1", "https://", "https://user@example.org", "https://example.org/path",
		"https://example.org?x=1", "https://example.org/#f", "http://localhost.evil.org", "https://:443",
		"http://127.0.0.1:8080:9", "https://example.org:", "https://example.org:0", "https://example.org:65536", "https://exa mple.org",
	} {
		if u, err := ParseAddress(raw); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v, %v", raw, u, err)
		}
	}
}
