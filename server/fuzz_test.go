package server

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

var contentTypes = []string{
	"application/proto", "application/json", "application/connect+proto", "application/connect+json",
	"application/grpc", "application/grpc-web", "application/grpc-web+json", "text/plain", "",
}

// FuzzHandlers gives every procedure any body in any protocol, from a stranger
// and from a device that has logged in. Nothing may panic.
func FuzzHandlers(f *testing.F) {
	srv := New(memory.New(), Options{OpenRegistration: true, Limits: limitless()})
	box := store.Box{1}
	if err := srv.store.Create(f.Context(), box, store.Limits{}); err != nil {
		f.Fatal(err)
	}
	close(srv.stopping) // streams end after what is stored
	seedHandlers(f)
	all := procedures()
	f.Fuzz(func(t *testing.T, procedure, protocol uint8, known bool, body []byte) {
		path := all[int(procedure)%len(all)]
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", contentTypes[int(protocol)%len(contentTypes)])
		if known {
			text, _ := srv.auth.tokens.issue(caller{account.ID{1}, account.DeviceID{2}, box}, time.Now())
			r.Header.Set("Authorization", "Bearer "+text)
		}
		w := httptest.NewRecorder()
		srv.Handler().ServeHTTP(w, r)
		if strings.Contains(w.Body.String()+w.Header().Get("Grpc-Message"), "the server failed") {
			t.Errorf("%s answered %d %s", path, w.Code, w.Body)
		}
	})
}

func seedHandlers(f *testing.F) {
	proof := &posthornv1.Proof{
		AccountId: make([]byte, 48), DeviceId: make([]byte, 32), Challenge: make([]byte, 32),
		EcdsaSignature: make([]byte, 64), MldsaSignature: make([]byte, 3309),
	}
	for _, m := range []proto.Message{
		&posthornv1.AuthenticateRequest{Proof: proof},
		&posthornv1.RegisterRequest{Name: "alice", Statement: make([]byte, 100), Bundle: make([]byte, account.BundleSize), Proof: proof},
		byName("alice"), byID(make([]byte, 48)),
		&posthornv1.SendRequest{Envelopes: []*posthornv1.Envelope{{Id: make([]byte, 16), AccountId: make([]byte, 48), DeviceId: make([]byte, 32), Payload: []byte("x")}}},
		&posthornv1.AckRequest{Seq: 1 << 63},
	} {
		body, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		for i := range 9 {
			f.Add(uint8(i), uint8(0), true, body)
			f.Add(uint8(i), uint8(2), false, append([]byte{0, 0, 0, byte(len(body) >> 8), byte(len(body))}, body...))
		}
	}
	f.Add(uint8(7), uint8(3), true, []byte("\x00\x00\x00\x00\x02{}"))
	f.Add(uint8(6), uint8(1), true, []byte(`{"envelopes":[{"id":"AA=="}]}`))
	f.Add(uint8(0), uint8(1), false, []byte(`{}`))
}

// limitless lets the fuzzer call as often as it can.
func limitless() Limits {
	l, all := DefaultLimits(), Rate{PerSecond: 1e9, Burst: 1e9}
	l.Challenges, l.Registrations, l.Lookups, l.Bundles, l.Sends, l.Bytes = all, all, all, all, all, all
	return l
}

// FuzzRecords: a directory record that can be read is written back as it was.
func FuzzRecords(f *testing.F) {
	f.Add(accountRecord{"alice", [][]byte{{1, 2}, {}}}.marshal())
	f.Add(deviceRecord{box: store.Box{1}, lastSeen: 5, bundle: []byte{1}}.marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseAccountRecord(b); err == nil && !bytes.Equal(r.marshal(), b) {
			t.Error("an account record changed")
		}
		if r, err := parseDeviceRecord(b); err == nil && !bytes.Equal(r.marshal(), b) {
			t.Error("a device record changed")
		}
	})
}
