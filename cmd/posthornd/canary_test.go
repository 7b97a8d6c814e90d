package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// Sizes of payloads that occur nowhere else, and whose sum tells none of them.
var canarySizes = []int{77_713, 61_979, 13_577}

// TestNothingOfAnybodyIsInLogOrMetrics runs a server as operators run it, over
// a story in which people do everything right and wrong. Neither the log at
// info level nor the metrics tell names, ids, mailboxes, contents, sizes or
// addresses, in any encoding.
func TestNothingOfAnybodyIsInLogOrMetrics(t *testing.T) {
	data, address := filepath.Join(t.TempDir(), "data"), machine.Address(t)
	s := start(t, data, "--open-registration", "--metrics", address)
	alice, bob := settle(t, s.url, "canary.alice"), settle(t, s.url, "canary.bob")
	content := "canary of a content "
	for _, size := range canarySizes {
		alice.write(bob, content+strings.Repeat("x", size-len(content)))
	}
	bob.fetch(1)
	misbehave(t, s.url, alice)
	_, metrics := page(t, address, "/metrics")
	if code := s.end(); code != 0 {
		t.Fatalf("exit %d", code)
	}
	canaries := map[string]string{"name, content or header": "canary", "address": "127.0.0.1", "another address": "198.51.100.77"}
	for _, size := range canarySizes {
		canaries[fmt.Sprint("size ", size)] = fmt.Sprint(size)
	}
	for what, id := range idsIn(t, data, alice, bob) {
		canaries[what+" in hex"] = hex.EncodeToString(id[:12])
		canaries[what+" in base64"] = base64.StdEncoding.EncodeToString(id[:12])
		canaries[what+" in base64url"] = base64.RawURLEncoding.EncodeToString(id[:12])
		canaries[what+" as it is"] = string(id[:12])
	}
	log := s.stderr.String()
	if !strings.Contains(log, `"serving"`) || !strings.Contains(metrics, "posthorn_calls_total") {
		t.Fatalf("nothing to look at: %s", log)
	}
	for what, canary := range canaries {
		if strings.Contains(strings.ToLower(log), strings.ToLower(canary)) {
			t.Errorf("the log holds the %s (%q):\n%s", what, canary, log)
		}
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, "posthorn_") && strings.Contains(strings.ToLower(line), strings.ToLower(canary)) {
				t.Errorf("the metrics hold the %s: %s", what, line)
			}
		}
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

// misbehave is what strangers and members get refused.
func misbehave(t *testing.T, url string, member *citizen) {
	t.Helper()
	for _, name := range []string{"canary.nobody", "canary.bob"} {
		_, _ = member.line.AccountByName(t.Context(), account.Name(name))
	}
	_ = member.line.PublishBundle(t.Context(), []byte("canary of a bundle"))
	_, _ = member.line.FetchBundle(t.Context(), member.id, account.DeviceID{9})
	for _, path := range []string{"/canary", "/posthorn.v1.MailboxService/Canary", "/posthorn.v1.MailboxService/Send?canary=1", "/healthz?canary"} {
		request, err := http.NewRequest(http.MethodPost, url+path, strings.NewReader(`{"canary":`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer canary")
		request.Header.Set("User-Agent", "canary")
		request.Header.Set("X-Forwarded-For", "198.51.100.77")
		answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
}

// idsIn are the ids of two people and of every mailbox in a data folder.
func idsIn(t *testing.T, data string, people ...*citizen) map[string][]byte {
	t.Helper()
	ids := map[string][]byte{}
	for i, p := range people {
		ids[fmt.Sprint("account ", i)], ids[fmt.Sprint("device ", i)] = p.id[:], p.own.ID[:]
	}
	s, err := pebble.Open(filepath.Join(data, storeFolder), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	devices, err := s.Scan(t.Context(), "device/", "", 100)
	if err != nil || len(devices) != len(people) {
		t.Fatalf("%d devices, %v", len(devices), err)
	}
	for i, e := range devices {
		ids[fmt.Sprint("mailbox ", i)] = e.Val[:16]
	}
	return ids
}
