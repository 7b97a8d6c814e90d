package server

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// requests are good requests of every procedure, which a valid credential
// would carry out with an effect. A procedure of a later version that is not in
// here fails TestCredentialsOfEveryProcedure.
func requests(who, other *person) map[string]proto.Message {
	const s = "/posthorn.v1."
	return map[string]proto.Message{
		s + "AuthService/GetChallenge":          &posthornv1.GetChallengeRequest{},
		s + "AuthService/Authenticate":          &posthornv1.AuthenticateRequest{Proof: who.proof()},
		s + "DirectoryService/Register":         who.registration(),
		s + "DirectoryService/GetAccount":       byName(other.name),
		s + "DirectoryService/PublishBundle":    &posthornv1.PublishBundleRequest{Bundle: who.bundle(time.Now().Add(time.Second), 24*time.Hour)},
		s + "DirectoryService/FetchBundle":      &posthornv1.FetchBundleRequest{AccountId: other.party.Account[:], DeviceId: other.party.Device.ID[:]},
		s + "DirectoryService/UpdateRoster":     who.linking(who.sibling()),
		s + "DirectoryService/HoldAccount":      &posthornv1.HoldAccountRequest{Hold: make([]byte, 73+3373)},
		s + "DirectoryService/FindRecoverable":  &posthornv1.FindRecoverableRequest{Name: other.name, EcdsaSignature: make([]byte, 64), MldsaSignature: make([]byte, 3309)},
		s + "DirectoryService/FindRemoval":      &posthornv1.FindRemovalRequest{Proof: who.proof()},
		s + "MailboxService/Send":               &posthornv1.SendRequest{Envelopes: []*posthornv1.Envelope{envelope(other, "x")}},
		s + "MailboxService/SendStream":         &posthornv1.SendStreamRequest{Number: 1, Send: &posthornv1.SendRequest{Envelopes: []*posthornv1.Envelope{envelope(other, "x")}}},
		s + "MailboxService/Receive":            &posthornv1.ReceiveRequest{},
		s + "MailboxService/Ack":                &posthornv1.AckRequest{Seq: 1},
		s + "AttachmentService/StartUpload":     &posthornv1.StartUploadRequest{Nonce: make([]byte, 16), Size: 1 << 10},
		s + "AttachmentService/UploadPart":      &posthornv1.UploadPartRequest{Id: make([]byte, 16), Data: make([]byte, 1<<10)},
		s + "AttachmentService/FinishUpload":    &posthornv1.FinishUploadRequest{Id: make([]byte, 16), Digest: make([]byte, 48)},
		s + "AttachmentService/FetchAttachment": &posthornv1.FetchAttachmentRequest{Id: make([]byte, 16), Length: 1 << 10},
		s + "PairingService/PostPairing":        post(make([]byte, 16), 0, "hello"),
		s + "PairingService/FetchPairing":       collect(make([]byte, 16), 0),

		s + "TransparencyService/GetHead":        &posthornv1.GetHeadRequest{},
		s + "TransparencyService/GetConsistency": &posthornv1.GetConsistencyRequest{From: 1, To: 2},
		s + "TransparencyService/GetPolicy":      &posthornv1.GetPolicyRequest{Number: 1, Size: 2},
		s + "TransparencyService/GetUpdates":     &posthornv1.GetUpdatesRequest{},
		s + "TransparencyService/GetHistory":     &posthornv1.GetHistoryRequest{},
	}
}

// ask makes a call with the bytes of a request and returns what came back: the
// status and the whole body. Streams are asked in the framing of Connect.
func (o *office) ask(procedure, authorization string, m proto.Message) string {
	o.t.Helper()
	body, err := proto.Marshal(m)
	if err != nil {
		o.t.Fatal(err)
	}
	contentType := "application/proto"
	if lasts(procedure) {
		contentType = "application/connect+proto"
		body = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
	}
	status, text := o.post(procedure, contentType, authorization, body)
	if contentType == "application/connect+proto" && status == http.StatusOK {
		_, text, _ = strings.Cut(text, `{"error":`)
		status, text = http.StatusUnauthorized, strings.TrimSuffix(text, "}")
	}
	return fmt.Sprintf("%d %s", status, text)
}

// dump is everything that a store holds: every directory value with its
// version, and every envelope of the mailboxes that devices have.
func dump(t *testing.T, s store.Store) string {
	t.Helper()
	entries, err := s.Scan(t.Context(), "", "", 100_000)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s %d %x\n", e.Key, e.Ver, e.Val)
		if !strings.HasPrefix(e.Key, "device/") {
			continue
		}
		r, err := parseDeviceRecord(e.Val)
		if err != nil {
			t.Fatal(err)
		}
		msgs, head, err := s.Read(t.Context(), r.box, 0, 1000, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%x %d %v\n", r.box, head, msgs)
	}
	return b.String()
}

// TestCredentialsOfEveryProcedure is attack A35: whatever is shown instead of
// a valid token, every procedure of the schema gives the same refusal, byte for
// byte, and leaves the store as it was.
func TestCredentialsOfEveryProcedure(t *testing.T) {
	o, _ := openFiles(t, Limits{})
	alice, bob := o.join("alice"), o.join("bob")
	bob.sendAll(envelope(alice, "must stay"))
	elsewhere := open(t).join("alice")
	held := newTokens(o.store, &keyring{store: o.store})
	ended, _ := held.give(t, caller{alice.party.Account, alice.party.Device.ID, boxOf(t, o, alice)}, time.Now().Add(-api.TokenLife-time.Second))
	shown := map[string]string{
		"no credential": "", "garbage": "Bearer " + strings.Repeat("A", 86), "of another server": "Bearer " + elsewhere.token,
		"ended": "Bearer " + ended, "a challenge": "Bearer " + fmt.Sprintf("%x", alice.proof().GetChallenge()),
		"a proof in place of a token": "Bearer " + fmt.Sprintf("%x", alice.proof().GetEcdsaSignature()),
		"one bit changed":             "Bearer " + flipped(alice.token),
	}
	good := requests(alice, bob)
	before := dump(t, o.store)
	refusals := map[string]int{}
	for _, procedure := range procedures() {
		request, known := good[procedure]
		if !known {
			t.Errorf("%s: no request for it in this test", procedure)
			continue
		}
		if slices.Contains(loginProcedures, procedure) {
			continue
		}
		for name, header := range shown {
			answer := o.ask(procedure, header, request)
			if !strings.HasPrefix(answer, "401 ") || !strings.Contains(answer, `"unauthenticated"`) {
				t.Errorf("%s with %s: %s", procedure, name, answer)
			}
			refusals[answer]++
		}
	}
	if len(refusals) != 1 {
		t.Errorf("%d kinds of refusal: %v", len(refusals), refusals)
	}
	if after := dump(t, o.store); after != before {
		t.Errorf("a refused call had an effect:\n%s\n%s", before, after)
	}
	if got := alice.fetch(); len(got) != 1 {
		t.Errorf("%d envelopes are left", len(got))
	}
}

// flipped is a text with another first character.
func flipped(token string) string {
	if token[0] == 'A' {
		return "B" + token[1:]
	}
	return "A" + token[1:]
}

func boxOf(t *testing.T, o *office, p *person) store.Box {
	t.Helper()
	value, _, err := o.store.Get(t.Context(), deviceKey(p.party.Account, p.party.Device.ID))
	if err != nil {
		t.Fatal(err)
	}
	r, err := parseDeviceRecord(value)
	if err != nil {
		t.Fatal(err)
	}
	return r.box
}

// A proof that is not by this device, for this server and for a challenge that
// nobody has answered yet gives no token, whichever of these it is, and the
// answer does not tell which.
func TestProofsThatAreRefusedAlike(t *testing.T) {
	o := open(t)
	alice, bob, nobody := o.join("alice"), o.join("bob"), o.newPerson("nobody")
	used := alice.proof()
	if _, err := alice.line.auth.Authenticate(t.Context(), &posthornv1.AuthenticateRequest{Proof: used}); err != nil {
		t.Fatal(err)
	}
	proofs := map[string]*posthornv1.Proof{"replayed": used, "nobody's": nobody.proof()}
	swap := func(name string, change func(*posthornv1.Proof)) {
		p := alice.proof()
		change(p)
		proofs[name] = p
	}
	swap("with another device", func(p *posthornv1.Proof) { p.DeviceId = bob.party.Device.ID[:] })
	swap("with another account", func(p *posthornv1.Proof) { p.AccountId = bob.party.Account[:] })
	swap("for another account and device", func(p *posthornv1.Proof) {
		p.AccountId, p.DeviceId = bob.party.Account[:], bob.party.Device.ID[:]
	})
	swap("with another challenge", func(p *posthornv1.Proof) { p.Challenge = bob.proof().GetChallenge() })
	swap("with an invented challenge", func(p *posthornv1.Proof) { p.Challenge = make([]byte, api.ChallengeSize) })
	swap("with one signature of somebody else", func(p *posthornv1.Proof) { p.MldsaSignature = bob.proof().GetMldsaSignature() })
	proofs["for another server"] = alice.prove("chat.example.org", alice.proof().GetChallenge())
	before, answers := dump(t, o.store), map[string]bool{}
	for name, p := range proofs {
		answer := o.ask("/posthorn.v1.AuthService/Authenticate", "", &posthornv1.AuthenticateRequest{Proof: p})
		if !strings.HasPrefix(answer, "401 ") {
			t.Errorf("%s: %s", name, answer)
		}
		answers[answer] = true
	}
	if len(answers) != 1 {
		t.Errorf("the answers tell what was wrong: %v", answers)
	}
	if after := dump(t, o.store); after != before {
		t.Errorf("a refused proof had an effect:\n%s\n%s", before, after)
	}
}

// spy notes which operations a store is asked for.
type spy struct {
	store.Store
	mu    sync.Mutex
	asked []string
}

func (s *spy) note(op, key string) {
	kind, _, _ := strings.Cut(key, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, op+" "+kind)
}

func (s *spy) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	s.note("get", key)
	return s.Store.Get(ctx, key)
}

func (s *spy) CAS(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	s.note("cas", key)
	return s.Store.CAS(ctx, key, want, val)
}

func (s *spy) Note(ctx context.Context, key string, want uint64, val []byte) (uint64, error) {
	s.note("note", key)
	return s.Store.Note(ctx, key, want, val)
}

func (s *spy) Append(ctx context.Context, envs []store.Envelope) ([]store.Appended, error) {
	s.note("append", "")
	return s.Store.Append(ctx, envs)
}

// during are the operations that a call led to.
func (s *spy) during(call func()) []string {
	s.mu.Lock()
	s.asked = nil
	s.mu.Unlock()
	call()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// TestStrangersLearnNoNames: somebody without an account gets one answer about
// names and accounts that exist and that do not, after the same work. Counting
// the operations of the store says more than a clock on a busy machine.
func TestStrangersLearnNoNames(t *testing.T) {
	s := &spy{Store: memory.New()}
	o := openOver(t, s, Options{OpenRegistration: true})
	alice, nobody := o.join("alice"), o.newPerson("nobody")
	if err := alice.login(); err != nil {
		t.Fatal(err)
	}
	closed := openOver(t, s, Options{})
	type answer struct{ text, work string }
	ask := func(o *office, procedure string, m proto.Message) (a answer) {
		a.work = fmt.Sprint(s.during(func() { a.text = o.ask(procedure, "", m) }))
		return a
	}
	wrong := func(p *person) proto.Message {
		proof := p.proof()
		proof.EcdsaSignature[5] ^= 1
		return &posthornv1.AuthenticateRequest{Proof: proof}
	}
	taken, free := closed.newPerson("alice").registration(), closed.newPerson("mallory").registration()
	for name, pair := range map[string][2]answer{
		"a login":                           {ask(o, "/posthorn.v1.AuthService/Authenticate", wrong(alice)), ask(o, "/posthorn.v1.AuthService/Authenticate", wrong(nobody))},
		"a look-up":                         {ask(o, "/posthorn.v1.DirectoryService/GetAccount", byName("alice")), ask(o, "/posthorn.v1.DirectoryService/GetAccount", byName("mallory"))},
		"a registration where it is closed": {ask(closed, "/posthorn.v1.DirectoryService/Register", taken), ask(closed, "/posthorn.v1.DirectoryService/Register", free)},
	} {
		if pair[0] != pair[1] || pair[0].text == "" {
			t.Errorf("%s: known %+v\nunknown %+v", name, pair[0], pair[1])
		}
	}
}

// An account holder spends as much of its rate on a name that exists as on one
// that does not.
func TestLookUpsCostTheSame(t *testing.T) {
	limits := DefaultLimits()
	limits.Lookups, limits.Bundles = Rate{PerSecond: 0.001, Burst: 10}, Rate{PerSecond: 0.001, Burst: 10}
	for _, name := range []string{"bob", "nobody"} {
		o := openOver(t, memory.New(), Options{OpenRegistration: true, Limits: limits})
		alice, bob := o.join("alice"), o.join("bob")
		device := account.DeviceID{1}
		if name == "bob" {
			device = bob.party.Device.ID
		}
		for i := range 12 {
			_, lookErr := alice.line.directory.GetAccount(bearer(t, alice.token), byName(name))
			_, fetchErr := alice.line.directory.FetchBundle(bearer(t, alice.token), &posthornv1.FetchBundleRequest{AccountId: bob.party.Account[:], DeviceId: device[:]})
			for what, err := range map[string]error{"look-up": lookErr, "fetch": fetchErr} {
				if limited := connect.CodeOf(err) == connect.CodeResourceExhausted; err != nil && limited != (i >= 10) || err == nil && i >= 10 {
					t.Errorf("%s %d of %s: %v", what, i, name, err)
				}
			}
		}
	}
}

// For an account holder too, an answer and a refusal are of one length, within
// a few bytes, and take the same reads of the store.
func TestLookUpsLookTheSame(t *testing.T) {
	s := &spy{Store: memory.New()}
	o := openOver(t, s, Options{OpenRegistration: true})
	alice, bob, nobody := o.join("alice"), o.join("bob"), o.newPerson("nobody")
	fetch := func(p *person) proto.Message {
		return &posthornv1.FetchBundleRequest{AccountId: p.party.Account[:], DeviceId: p.party.Device.ID[:]}
	}
	const service = "/posthorn.v1.DirectoryService/"
	for name, pair := range map[string][3]any{
		"by name":       {"GetAccount", byName("bob"), byName("nobody")},
		"by id":         {"GetAccount", byID(bob.party.Account[:]), byID(nobody.party.Account[:])},
		"prekey bundle": {"FetchBundle", fetch(bob), fetch(nobody)},
	} {
		var length [2]int
		var work [2]string
		for i := range 2 {
			var answer string
			ask := func() { answer = o.ask(service+pair[0].(string), "Bearer "+alice.token, pair[1+i].(proto.Message)) }
			o.srv.auth.tokens.askAgain(boxOf(t, o, alice))
			ask() // the token is known from here on, for some seconds
			work[i] = fmt.Sprint(s.during(ask))
			length[i] = len(answer)
			if found := strings.HasPrefix(answer, "200 "); found != (i == 0) {
				t.Errorf("%s %d: %.100s", name, i, answer)
			}
		}
		if d := length[0] - length[1]; d < -64 || d > 64 {
			t.Errorf("%s: %d bytes for one that exists, %d for one that does not", name, length[0], length[1])
		}
		if work[0] != work[1] {
			t.Errorf("%s: %s for one that exists, %s for one that does not", name, work[0], work[1])
		}
	}
}
