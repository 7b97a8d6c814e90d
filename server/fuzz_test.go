package server

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/server/blob/dir"
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
	files, err := dir.Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	srv := New(memory.New(), Options{OpenRegistration: true, Limits: limitless(), Blobs: files})
	box := store.Box{1}
	if err := srv.store.Create(f.Context(), box, store.Limits{}); err != nil {
		f.Fatal(err)
	}
	close(srv.stopping) // streams end after what is stored
	seedHandlers(f)
	token, _ := srv.auth.tokens.give(f, caller{account.ID{1}, account.DeviceID{2}, box}, time.Now())
	all := procedures()
	f.Fuzz(func(t *testing.T, procedure, protocol uint8, known bool, body []byte) {
		path := all[int(procedure)%len(all)]
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", contentTypes[int(protocol)%len(contentTypes)])
		if known {
			r.Header.Set("Authorization", "Bearer "+token)
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
		&posthornv1.UpdateRosterRequest{Statement: make([]byte, 100), Bundles: [][]byte{make([]byte, account.BundleSize)}},
		&posthornv1.HoldAccountRequest{Hold: append([]byte{1}, make([]byte, 72+3373)...)},
		byName("alice"), byID(make([]byte, 48)),
		&posthornv1.SendRequest{Envelopes: []*posthornv1.Envelope{{Id: make([]byte, 16), AccountId: make([]byte, 48), DeviceId: make([]byte, 32), Payload: []byte("x")}}},
		&posthornv1.AckRequest{Seq: 1 << 63},
		&posthornv1.StartUploadRequest{Nonce: make([]byte, 16), Size: 1 << 20},
		&posthornv1.UploadPartRequest{Id: make([]byte, 16), Data: []byte("x")},
		&posthornv1.FinishUploadRequest{Id: make([]byte, 16), Digest: make([]byte, 48)},
		&posthornv1.FetchAttachmentRequest{Id: make([]byte, 16), Length: 1},
	} {
		body, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		for i := range 13 {
			f.Add(uint8(i), uint8(0), true, body)
			f.Add(uint8(i), uint8(2), false, append([]byte{0, 0, 0, byte(len(body) >> 8), byte(len(body))}, body...))
		}
	}
	decodertest.Seed(f, "stream-json", uint8(7), uint8(3), true, []byte("\x00\x00\x00\x00\x02{}"))
	decodertest.Seed(f, "send-json", uint8(6), uint8(1), true, []byte(`{"envelopes":[{"id":"AA=="}]}`))
	decodertest.Seed(f, "empty-json", uint8(0), uint8(1), false, []byte(`{}`))
}

// limitless lets the fuzzer call as often as it can.
func limitless() Limits {
	l, all := DefaultLimits(), Rate{PerSecond: 1e9, Burst: 1e9}
	l.Challenges, l.Registrations, l.Lookups, l.Bundles, l.Sends, l.Bytes = all, all, all, all, all, all
	l.Attachments, l.AttachmentBytes = all, all
	return l
}

// drawRecords is one record of each kind.
func drawRecords(s *decodertest.Source) (accountRecord, deviceRecord) {
	a := accountRecord{name: account.Name(s.Bytes(64))}
	for range s.Below(5) {
		a.statements = append(a.statements, s.Bytes(300))
	}
	a.heldUntil = s.U64()
	d := deviceRecord{lastSeen: s.U64(), bundle: s.Bytes(account.BundleSize)}
	s.Fill(d.box[:])
	return a, d
}

// drawLogins is a record of logins.
func drawLogins(s *decodertest.Source) (r loginRecord) {
	s.Fill(r.who.account[:])
	s.Fill(r.who.device[:])
	r.closed = s.Bool()
	if s.Bool() {
		r.seat = seat{number: 1 + uint64(s.Below(9)), copied: s.Bool()}
		s.Fill(r.seat.value[:])
		if s.Bool() {
			s.Fill(r.seat.before[:])
			s.Fill(r.seat.signature[1:])
			r.seat.signature[0] = 1
		}
	}
	r.removed = r.closed && s.Bool()
	for range s.Below(maxTokens) {
		t := timedHash{ends: s.U64()}
		s.Fill(t.hash[:])
		r.tokens = append(r.tokens, t)
	}
	for range s.Below(5) {
		c := timedID{ends: s.U64()}
		s.Fill(c.id[:])
		r.spent = append(r.spent, c)
	}
	return r
}

// FuzzRecords: a directory record that can be read is written back as it was,
// and the other way round.
func FuzzRecords(f *testing.F) {
	decodertest.Seed(f, "account", accountRecord{name: "alice", statements: [][]byte{{1, 2}, {}}}.marshal())
	decodertest.Seed(f, "account-held", accountRecord{name: "alice", statements: [][]byte{{1}}, heldUntil: 7}.marshal())
	decodertest.Seed(f, "logins-removed", loginRecord{closed: true, removed: true}.marshal())
	decodertest.Seed(f, "device", deviceRecord{box: store.Box{1}, lastSeen: 5, bundle: []byte{1}}.marshal())
	decodertest.Seed(f, "logins", loginRecord{who: caller{account: account.ID{1}}, tokens: []timedHash{{ends: 7}}, spent: []timedID{{ends: 8}}}.marshal())
	decodertest.Seed(f, "logins-closed", loginRecord{closed: true}.marshal())
	decodertest.Seed(f, "nodes", nodesRecord{{name: "a", beats: 1}, {name: "b-2", incarnation: [8]byte{1}}}.marshal())
	decodertest.Seed(f, "keys", sharedKeys{made: 5}.marshal())
	decodertest.Seed(f, "incarnation", marshalIncarnation(7))
	decodertest.Seed(f, "invite", inviteRecord{created: 5, expires: 6}.marshal())
	decodertest.Seed(f, "invite-used", inviteRecord{state: inviteUsed, account: account.ID{1}}.marshal())
	decodertest.Seed(f, "clock", clockRecord{time.UnixMilli(5), []gap{{time.Hour, time.Minute}, {maxGrace, 0}}}.marshal())
	decodertest.Seed(f, "logins-seat", loginRecord{seat: seat{number: 3, value: [16]byte{1}, copied: true}}.marshal())
	decodertest.Seed(f, "logins-seat-signed", loginRecord{seat: seat{number: 3, before: [16]byte{2}, signature: [64]byte{9}}}.marshal())
	decodertest.Seed(f, "pairings", pairings{{[slotSize]byte{1}, 5, [][]byte{[]byte("hello")}}, {}}.marshal())
	decodertest.Seed(f, "many-statements-missing", []byte{0, 0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, parseAccountRecord, accountRecord.marshal)
		decodertest.Canonical(t, b, parseDeviceRecord, deviceRecord.marshal)
		decodertest.Canonical(t, b, parseLoginRecord, loginRecord.marshal)
		decodertest.Canonical(t, b, parseSharedKeys, sharedKeys.marshal)
		decodertest.Canonical(t, b, parseInviteRecord, inviteRecord.marshal)
		decodertest.Canonical(t, b, parseNodesRecord, nodesRecord.marshal)
		decodertest.Canonical(t, b, parseClockRecord, clockRecord.marshal)
		decodertest.Canonical(t, b, parsePairings, pairings.marshal)
		decodertest.Canonical(t, b, parseIncarnation, marshalIncarnation)
		a, d := drawRecords(decodertest.From(b))
		decodertest.RoundTrip(t, a, accountRecord.marshal, parseAccountRecord)
		decodertest.RoundTrip(t, d, deviceRecord.marshal, parseDeviceRecord)
		decodertest.RoundTrip(t, drawLogins(decodertest.From(b)), loginRecord.marshal, parseLoginRecord)
	})
}

// FuzzProof: a login proof of any shape is read as it is or refused, and nothing
// but a challenge of ours is accepted in it, once.
func FuzzProof(f *testing.F) {
	sizes := []byte{48, 32, 64, 13}
	decodertest.Seed(f, "right-lengths", sizes, make([]byte, 3500), false)
	decodertest.Seed(f, "our-challenge", sizes, make([]byte, 3500), true)
	decodertest.Seed(f, "short-account", []byte{47, 32, 64, 13}, []byte{}, true)
	now := time.Unix(1<<31, 0)
	f.Fuzz(func(t *testing.T, sizes, content []byte, ours bool) {
		s, lengths := decodertest.From(content), decodertest.From(sizes)
		field := func(extra int) []byte {
			b := make([]byte, int(lengths.U8())+extra)
			s.Fill(b)
			return b
		}
		wire := &posthornv1.Proof{AccountId: field(0), DeviceId: field(0), EcdsaSignature: field(0), MldsaSignature: field(3296), Challenge: s.Bytes(64)}
		challenges, _ := newDesk()
		if ours {
			wire.Challenge = challenges.fresh(t, now)
		}
		p, err := parseProof(wire)
		fits := len(wire.AccountId) == 48 && len(wire.DeviceId) == 32 && len(wire.EcdsaSignature) == 64 && len(wire.MldsaSignature) == 3309
		if fits != (err == nil) {
			t.Fatalf("lengths fit is %v, error is %v", fits, err)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(p.account[:], wire.AccountId) || !bytes.Equal(p.signature.Append(nil), append(wire.EcdsaSignature, wire.MldsaSignature...)) {
			t.Fatal("a field changed")
		}
		if challenges.spends(t, p.challenge, now) != ours || challenges.spends(t, p.challenge, now) {
			t.Fatal("a challenge that is not ours, or a second time")
		}
	})
}

// FuzzForwardedFor: whatever a proxy passes on, callers are counted by something
// short, and never by a whole IPv6 address.
func FuzzForwardedFor(f *testing.F) {
	decodertest.Seed(f, "one", "203.0.113.7", "127.0.0.1:1")
	decodertest.Seed(f, "chain", "198.51.100.1, 2001:db8::1", "[::1]:1")
	decodertest.Seed(f, "nonsense", ",,", "x")
	behind, direct := &access{options: Options{BehindProxy: true}}, &access{}
	f.Fuzz(func(t *testing.T, hops, remote string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {hops}}}
		for _, a := range []*access{behind, direct} {
			counted := a.addressOf(r)
			if len(counted) > max(len(hops), len(remote), 39) {
				t.Fatalf("counted by %q", counted)
			}
			if ip := net.ParseIP(counted); ip != nil && ip.To4() == nil && !bytes.Equal(ip[8:], make([]byte, 8)) {
				t.Fatalf("counted by the whole of %s", ip)
			}
		}
		if r.Header = nil; behind.addressOf(r) != direct.addressOf(r) {
			t.Fatal("a call that names no hop is counted by its connection")
		}
	})
}
