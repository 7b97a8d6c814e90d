package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// loginProcedures are what anybody may call. A procedure that is in neither
// list of a later version fails TestV81CallsWithoutToken.
var loginProcedures = []string{
	posthornv1connect.AuthServiceGetChallengeProcedure,
	posthornv1connect.AuthServiceAuthenticateProcedure,
	posthornv1connect.DirectoryServiceRegisterProcedure,
	posthornv1connect.PairingServicePostPairingProcedure,
	posthornv1connect.PairingServiceFetchPairingProcedure,
	posthornv1connect.DirectoryServiceUpdateRosterProcedure,
	posthornv1connect.DirectoryServiceHoldAccountProcedure,
	posthornv1connect.DirectoryServiceFindRecoverableProcedure,
	posthornv1connect.DirectoryServiceFindRemovalProcedure,
	posthornv1connect.TransparencyServiceGetHeadProcedure,
	posthornv1connect.TransparencyServiceGetConsistencyProcedure,
	posthornv1connect.TransparencyServiceGetPolicyProcedure,
}

// procedures are all calls of the schema.
func procedures() (all []string) {
	files := posthornv1.File_posthorn_v1_posthorn_proto
	for i := range files.Services().Len() {
		service := files.Services().Get(i)
		for j := range service.Methods().Len() {
			all = append(all, fmt.Sprintf("/%s/%s", service.FullName(), service.Methods().Get(j).Name()))
		}
	}
	return all
}

// post makes a raw call and returns status and body.
func (o *office) post(procedure, contentType, authorization string, body []byte) (int, string) {
	o.t.Helper()
	request, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, "http://"+o.addr+procedure, bytes.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		o.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestV81CallsWithoutToken(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	headers := map[string]string{
		"none": "", "empty": "Bearer ", "garbage": "Bearer garbage", "other scheme": "Basic " + alice.token,
		"no scheme": alice.token, "cut": "Bearer " + alice.token[:42], "longer": "Bearer " + alice.token + "A",
		"lower case": "bearer " + alice.token, "somebody's id": "Bearer " + alice.party.Account.String(),
	}
	asked := 0
	for _, procedure := range procedures() {
		if strings.Contains(strings.Join(loginProcedures, " "), procedure) {
			continue
		}
		asked++
		contentType := "application/json"
		if lasts(procedure) {
			contentType = "application/connect+json"
		}
		for name, header := range headers {
			t.Run(procedure+" "+name, func(t *testing.T) {
				status, body := o.post(procedure, contentType, header, []byte("{}"))
				refused := status == http.StatusUnauthorized || contentType != "application/json"
				if !refused || !strings.Contains(body, `"unauthenticated"`) {
					t.Errorf("answered %d %s", status, body)
				}
			})
		}
	}
	if asked != 13 {
		t.Errorf("%d procedures need a token, want 13", asked)
	}
}

func TestV81EndedToken(t *testing.T) {
	_, held := newDesk()
	a := newAccess(held, Options{Limits: DefaultLimits()}, slog.New(slog.DiscardHandler))
	text, ends := a.tokens.give(t, caller{}, time.Now().Add(-api.TokenLife))
	if !ends.Before(time.Now()) {
		t.Fatal("the token has not ended")
	}
	if _, ok := a.tokens.works(t, text, time.Now()); ok {
		t.Error("an ended token lets a call through")
	}
}

func TestV85FieldLengths(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	ctx := bearer(t, alice.token)
	proofs := map[string]func(*posthornv1.Proof){
		"account": func(p *posthornv1.Proof) { p.AccountId = p.AccountId[1:] },
		"device":  func(p *posthornv1.Proof) { p.DeviceId = append(bytes.Clone(p.DeviceId), 0) },
		"ecdsa":   func(p *posthornv1.Proof) { p.EcdsaSignature = nil },
		"mldsa":   func(p *posthornv1.Proof) { p.MldsaSignature = p.MldsaSignature[:3308] },
	}
	for name, spoil := range proofs {
		t.Run("proof "+name, func(t *testing.T) {
			p := alice.proof()
			spoil(p)
			_, err := alice.line.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{Proof: p})
			wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
		})
	}
	t.Run("no proof", func(t *testing.T) {
		_, err := alice.line.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{})
		wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
	})
	for name, request := range map[string]*posthornv1.GetAccountRequest{
		"nothing": {}, "short id": byID(alice.party.Account[:47]), "long id": byID(make([]byte, 49)), "empty id": byID(nil),
	} {
		t.Run("account "+name, func(t *testing.T) {
			_, err := alice.line.directory.GetAccount(ctx, request)
			wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
		})
	}
	t.Run("bundle of nobody", func(t *testing.T) {
		_, err := alice.line.directory.FetchBundle(ctx, &posthornv1.FetchBundleRequest{AccountId: alice.party.Account[:]})
		wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
	})
	for name, spoil := range map[string]func(*posthornv1.Envelope){
		"no id":         func(e *posthornv1.Envelope) { e.Id = nil },
		"long id":       func(e *posthornv1.Envelope) { e.Id = make([]byte, 17) },
		"short account": func(e *posthornv1.Envelope) { e.AccountId = e.AccountId[:47] },
		"no device":     func(e *posthornv1.Envelope) { e.DeviceId = nil },
		"empty payload": func(e *posthornv1.Envelope) { e.Payload = nil },
		"large payload": func(e *posthornv1.Envelope) { e.Payload = make([]byte, api.MaxEnvelope+1) },
	} {
		t.Run("envelope "+name, func(t *testing.T) {
			bad := envelope(alice, "x")
			spoil(bad)
			_, err := alice.send(envelope(alice, "before it"), bad)
			wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
		})
	}
	if got := alice.fetch(); len(got) != 0 {
		t.Errorf("%d envelopes of refused requests were stored", len(got))
	}
}

func TestRequestSize(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	var envelopes []*posthornv1.Envelope
	for range 17 { // more than 4 MiB
		envelopes = append(envelopes, envelope(alice, strings.Repeat("x", api.MaxEnvelope)))
	}
	if _, err := alice.send(envelopes...); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("more than 4 MiB: %v", err)
	}
	alice.sendAll(envelopes[:15]...)
	large := bytes.Repeat([]byte(" "), maxLogin+1)
	for _, procedure := range loginProcedures {
		if status, _ := o.post(procedure, "application/json", "", large); status == http.StatusOK {
			t.Errorf("%s took %d bytes from somebody unknown", procedure, len(large))
		}
	}
}

func TestV89Rates(t *testing.T) {
	tight := DefaultLimits()
	tight.Lookups = Rate{PerSecond: 0.001, Burst: 3}
	tight.Bytes = Rate{PerSecond: 0.001, Burst: 10}
	o := openOver(t, memory.New(), Options{OpenRegistration: true, Limits: tight})
	alice, bob := o.join("alice"), o.join("bob")
	for range 3 {
		if _, err := alice.line.directory.GetAccount(bearer(t, alice.token), byName("alice")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := alice.line.directory.GetAccount(bearer(t, alice.token), byName("alice"))
	wantRefusal(t, err, connect.CodeResourceExhausted, api.ReasonRateLimited)
	if wait := detailOf(t, err).GetRetryAfterMs(); wait < 900_000 || wait > 1_000_002 {
		t.Errorf("to be tried again after %d ms, want about 1,000 s", wait)
	}
	if _, err := bob.line.directory.GetAccount(bearer(t, bob.token), byName("alice")); err != nil {
		t.Errorf("somebody else's rate is used up: %v", err)
	}
	alice.sendAll(envelope(bob, "ten bytes!"))
	_, err = alice.send(envelope(bob, "x"))
	wantRefusal(t, err, connect.CodeResourceExhausted, api.ReasonRateLimited)
	if got := bob.fetch(); len(got) != 1 {
		t.Errorf("%d envelopes arrived, want the first", len(got))
	}
}

func TestV89RateRefills(t *testing.T) {
	l, now := newLimiter(Rate{PerSecond: 2, Burst: 1}), time.Now()
	if err := l.allow("a", now); err != nil {
		t.Fatal(err)
	}
	err := l.allow("a", now)
	wait := time.Duration(detailOf(t, err).GetRetryAfterMs()) * time.Millisecond
	if wait <= 0 || l.allow("a", now.Add(wait)) != nil {
		t.Errorf("refused after the wait of %v that was asked for", wait)
	}
}

func TestRatesForgetTheIdle(t *testing.T) {
	l, now := newLimiter(Rate{PerSecond: 1, Burst: 2}), time.Now()
	for i := range maxTracked {
		_ = l.allow(fmt.Sprint(i), now)
	}
	if err := l.allow("one more", now.Add(time.Hour)); err != nil || len(l.buckets) != 1 {
		t.Errorf("%d callers are remembered, %v", len(l.buckets), err)
	}
}

func TestCallerAddress(t *testing.T) {
	for _, c := range []struct {
		proxied bool
		remote  string
		hops    []string
		want    string
	}{
		{false, "192.0.2.1:5000", nil, "192.0.2.1"},
		{false, "192.0.2.1:5000", []string{"198.51.100.7"}, "192.0.2.1"},
		{true, "127.0.0.1:5000", []string{"198.51.100.7"}, "198.51.100.7"},
		{true, "127.0.0.1:5000", []string{"forged, 198.51.100.7"}, "198.51.100.7"},
		{true, "127.0.0.1:5000", []string{"forged", "198.51.100.7"}, "198.51.100.7"},
		{true, "127.0.0.1:5000", nil, "127.0.0.1"},
		{false, "[2001:db8:1:2:3::4]:5000", nil, "2001:db8:1:2::"},
		{true, "127.0.0.1:5000", []string{"2001:db8:1:2:ffff::4"}, "2001:db8:1:2::"},
	} {
		a := &access{options: Options{BehindProxy: c.proxied}}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.hops
		if got := a.addressOf(r); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestV90ListenAddresses(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.org:0", "127.0.0.1", "", "localhost.example.org:0", "127.1:0"} {
		if l, err := Listen(address, false); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v, %v", address, l, err)
		}
	}
	for address, proxied := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false, "127.0.0.2:0": false, "0.0.0.0:0": true} {
		l, err := Listen(address, proxied)
		if err != nil {
			t.Errorf("%q: %v", address, err)
			continue
		}
		_ = l.Close()
	}
}

func TestHealth(t *testing.T) {
	s := memory.New()
	o := openOver(t, s, Options{})
	if status, body := o.get("/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("%d %q", status, body)
	}
	if status, _ := o.get("/"); status != http.StatusNotFound {
		t.Errorf("the root answers %d", status)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _ := o.get("/healthz"); status != http.StatusServiceUnavailable {
		t.Errorf("with a closed store: %d", status)
	}
}

// TestHealthOfAPassingTrouble: whoever restarts what is not healthy must not do
// so while a database is away or a store is being moved.
func TestHealthOfAPassingTrouble(t *testing.T) {
	away := awayStore{memory.New()}
	o := openOver(t, away, Options{})
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		if status, _ := o.get(path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

// awayStore takes no writes, for now.
type awayStore struct{ store.Store }

func (awayStore) Err() error { return fmt.Errorf("%w: %w", store.ErrStopped, store.ErrPassing) }

// panicking is a store with a fault in it.
type panicking struct{ store.Store }

func (p panicking) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if strings.HasPrefix(key, "name/") {
		panic("canary of a panic")
	}
	return p.Store.Get(ctx, key)
}

func TestPanicIsLoggedWithoutContents(t *testing.T) {
	var log bytes.Buffer
	o := openOver(t, panicking{memory.New()}, Options{OpenRegistration: true, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	alice := o.newPerson("alice")
	if err := alice.register(); connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "canary") {
		t.Errorf("answered %v", err)
	}
	o.close()
	text := log.String()
	if !strings.Contains(text, "panic in a call") || !strings.Contains(text, "vacant") {
		t.Errorf("the log does not say where: %s", text)
	}
	if strings.Contains(text, "canary") || strings.Contains(text, "0x") {
		t.Errorf("the log holds contents: %s", text)
	}
}

func TestEveryProcedureHasARate(t *testing.T) {
	_, held := newDesk()
	a := newAccess(held, Options{Limits: DefaultLimits()}, nil)
	for _, p := range procedures() {
		if a.byAddress[p] == nil && a.byAccount[p] == nil && a.byDevice[p] == nil {
			t.Errorf("%s has no rate", p)
		}
	}
}

// A stranger who chose a device id of somebody else uses up only its own rate.
func TestRatesOfEqualDeviceIDs(t *testing.T) {
	tight := DefaultLimits()
	tight.Sends = Rate{PerSecond: 0.001, Burst: 2}
	o := openOver(t, memory.New(), Options{OpenRegistration: true, Limits: tight})
	alice := o.join("alice")
	key, _ := account.GenerateSigningKey(func(p []byte) { p[0], p[31] = p[0]+1, 1 })
	mallory := o.personWith("mallory", key, &account.Device{
		ID: alice.party.Device.ID, Key: key.Public(), Suites: alice.party.Device.Suites, CreatedAt: 1,
	})
	if err := mallory.register(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, _ = mallory.send(envelope(alice, "x"))
	}
	alice.sendAll(envelope(mallory, "y"))
	if got := mallory.fetch(); len(got) != 1 || string(got[0].GetPayload()) != "y" {
		t.Errorf("the wrong mailbox: %v", got)
	}
}
