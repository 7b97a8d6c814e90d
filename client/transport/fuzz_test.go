package transport

import (
	"bytes"
	"net"
	"net/url"
	"strconv"
	"testing"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/decodertest"
)

// FuzzParseAddress: an accepted address has one form, names a host that can be
// dialled, and lets plain http reach no other machine.
func FuzzParseAddress(f *testing.F) {
	for name, seed := range map[string]string{
		"https": "https://example.org", "port": "https://example.org:99/", "loopback": "http://127.0.0.1:8080", "ipv6": "http://[::1]:8080",
		"localhost": "http://localhost:1", "empty-port": "https://example.org:", "great-port": "https://a:70000", "percent": "https://%c3%a9.org",
		"disguised": "http://127.0.0.1.evil.org",
	} {
		decodertest.Seed(f, name, seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, ok := decodertest.Frugal(t, []byte(raw), func(b []byte) (*url.URL, error) { return ParseAddress(string(b)) })
		if !ok {
			return
		}
		again, err := ParseAddress(u.String())
		if err != nil || *again != *u {
			t.Fatalf("%q is %s, which is %v, %v", raw, u, again, err)
		}
		if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && u.Hostname() != "localhost" && !ip.IsLoopback() {
			t.Fatalf("%s is not this machine", u)
		}
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if u.Port() == "" && u.Host[len(u.Host)-1] == ':' || u.Port() != "" && (err != nil || port == 0) {
			t.Fatalf("%s has no port that can be dialled", u)
		}
	})
}

// FuzzDelivery: what a server says about an envelope, with fields of any length.
// An id of a wrong length is nobody's.
func FuzzDelivery(f *testing.F) {
	decodertest.Seed(f, "right", make([]byte, 16), bytes.Repeat([]byte{1}, 48), bytes.Repeat([]byte{2}, 32), []byte("p"))
	decodertest.Seed(f, "long-account", make([]byte, 16), bytes.Repeat([]byte{1}, 49), bytes.Repeat([]byte{2}, 32), []byte("p"))
	decodertest.Seed(f, "empty", []byte{}, []byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, id, acc, device, payload []byte) {
		d := deliveryOf(&posthornv1.Delivery{Id: id, SenderAccount: acc, SenderDevice: device, Payload: payload})
		for _, field := range [][2][]byte{{d.ID[:], id}, {d.SenderAccount[:], acc}, {d.SenderDevice[:], device}} {
			got, sent := field[0], field[1]
			if len(sent) != len(got) {
				sent = make([]byte, len(got))
			}
			if !bytes.Equal(got, sent) {
				t.Fatalf("%x arrived as %x", field[1], got)
			}
		}
		if !bytes.Equal(d.Payload, payload) {
			t.Fatal("the payload changed")
		}
	})
}
