package server

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store/memory"
)

// diary is a log that may be read while it is written.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

// TestLogCanaries is attack A52: whatever people do, and whatever fails, the
// log never names them, their keys, their tokens, their addresses or what they
// sent, in any encoding.
func TestLogCanaries(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		t.Run(level.String(), func(t *testing.T) {
			var log diary
			s := memory.New()
			o := openOver(t, s, Options{OpenRegistration: true, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: level}))})
			canaries := misbehave(t, o, s)
			o.close()
			if !strings.Contains(log.String(), "stopped") {
				t.Fatalf("no log: %s", log.String())
			}
			for what, secret := range canaries {
				for _, form := range formsOf(secret) {
					if strings.Contains(log.String(), form) {
						t.Errorf("the log holds the %s:\n%s", what, log.String())
					}
				}
			}
		})
	}
}

// misbehave uses every call well and badly, then lets the store fail.
func misbehave(t *testing.T, o *office, s *memory.Store) map[string][]byte {
	alice, bob := o.join("canary.alice"), o.join("canary.bob")
	payload := "canary of a payload"
	sent := envelope(bob, payload)
	alice.sendAll(sent)
	if got := bob.fetch(); len(got) != 1 {
		t.Fatal("nothing arrived")
	}
	spoil := func() {
		_ = o.newPerson("canary.alice").register()
		_ = o.newPerson("canary/" + payload).register()
		_, _ = alice.send(&posthornv1.Envelope{Id: []byte(payload), Payload: []byte(payload)})
		_, _ = alice.send(envelope(bob, payload))
		_, _ = alice.line.directory.GetAccount(bearer(t, alice.token), byName("canary.nobody"))
		_, _ = alice.line.directory.GetAccount(bearer(t, alice.token+"x"), byName("canary.bob"))
		_, _ = alice.line.directory.PublishBundle(bearer(t, alice.token), &posthornv1.PublishBundleRequest{Bundle: []byte(payload)})
		proof := alice.proof()
		proof.EcdsaSignature[0] ^= 1
		_, _ = alice.line.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{Proof: proof})
		o.post("/posthorn.v1.MailboxService/"+payload[:6], "application/json", "Bearer "+payload, []byte(payload))
	}
	spoil()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	spoil()
	_, _ = alice.line.mailbox.Ack(bearer(t, alice.token), &posthornv1.AckRequest{Seq: 1})
	host, port, _ := strings.Cut(o.addr, ":")
	return map[string][]byte{
		"name": []byte("canary"), "token": []byte(alice.token), "address": []byte(host), "port": []byte(":" + port),
		"account": alice.party.Account[:16], "device": bob.party.Device.ID[:16], "envelope id": sent.GetId(),
		"key": alice.party.Device.Key.MLDSABytes()[:16],
	}
}

// formsOf are the ways in which bytes may show in a text.
func formsOf(b []byte) []string {
	return []string{
		string(b), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)),
		base64.StdEncoding.EncodeToString(b)[:len(b)], base64.RawURLEncoding.EncodeToString(b)[:len(b)],
	}
}

// A store that fails is an operator's business, so it is in the log.
func TestFailuresAreLogged(t *testing.T) {
	var log diary
	s := memory.New()
	o := openOver(t, s, Options{OpenRegistration: true, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	alice := o.join("alice")
	_ = s.Close()
	_, _ = alice.send(envelope(alice, "x"))
	for end := time.Now().Add(2 * time.Minute); !strings.Contains(log.String(), "call failed"); {
		if time.Now().After(end) {
			t.Fatalf("not logged: %s", log.String())
		}
		time.Sleep(time.Millisecond)
	}
}
