package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// mouth is an open send stream.
type mouth struct {
	t      *testing.T
	stream posthornv1connect.MailboxServiceSendStreamClientStream
	number uint64
	come   []*posthornv1.SendAnswer // not taken yet
}

// speak opens a stream that the end of the test closes.
func (p *person) speak(o *office) *mouth {
	p.t.Helper()
	ctx, cancel := context.WithCancel(bearer(p.t, p.token))
	stream, err := o.connect(true).mailbox.SendStream(ctx)
	if err == nil {
		err = stream.SendHeaders()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { cancel(); _ = stream.Close() })
	return &mouth{t: p.t, stream: stream}
}

// ask writes one request.
func (m *mouth) ask(request *posthornv1.SendRequest) {
	m.t.Helper()
	m.number++
	if err := m.stream.Send(&posthornv1.SendStreamRequest{Number: m.number, Send: request}); err != nil {
		m.t.Fatal(err)
	}
}

// hear is the next answer.
func (m *mouth) hear() *posthornv1.SendAnswer {
	m.t.Helper()
	for len(m.come) == 0 {
		r, err := m.stream.Receive()
		if err != nil {
			m.t.Fatal(err)
		}
		m.come = r.GetAnswers()
	}
	a := m.come[0]
	m.come = m.come[1:]
	return a
}

// end is how the stream ends when no more answers come.
func (m *mouth) end() error {
	m.t.Helper()
	for {
		r, err := m.stream.Receive()
		if err != nil {
			return err
		}
		if len(r.GetAnswers()) > 0 {
			m.t.Fatalf("answered %v where the stream should have ended", r)
		}
	}
}

func letter(to *person, payload string) *posthornv1.SendRequest {
	return &posthornv1.SendRequest{Envelopes: []*posthornv1.Envelope{envelope(to, payload)}}
}

// TestSendStreamAnswersAsSend: whatever is asked, the stream answers what the
// call does, to the letter, and goes on.
func TestSendStreamAnswersAsSend(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		small := DefaultLimits()
		small.Mailbox = store.Limits{Envelopes: 8, Bytes: 1 << 20}
		o := openOver(t, s, Options{OpenRegistration: true, Limits: small})
		alice, bob, carol := o.join("alice"), o.join("bob"), o.join("carol")
		alice.sendAll(envelope(bob, "one"), envelope(bob, "two")) // alice's share of eight
		spoiled := envelope(carol, "x")
		spoiled.Id = spoiled.Id[1:]
		many := &posthornv1.SendRequest{}
		for range api.MaxEnvelopes + 1 {
			many.Envelopes = append(many.Envelopes, envelope(carol, "x"))
		}
		claims := &posthornv1.SendRequest{Claims: make([]*posthornv1.RosterClaim, api.MaxEnvelopes+1)}
		if err := o.changeRoster(carol); err != nil {
			t.Fatal(err)
		}
		stale := letter(carol, "x")
		stale.Claims = []*posthornv1.RosterClaim{{AccountId: carol.party.Account[:], Seq: 0}}
		m := alice.speak(o)
		for name, request := range map[string]*posthornv1.SendRequest{
			"accepted": letter(carol, "x"), "nothing": {}, "unknown device": letter(o.newPerson("nobody"), "x"), "full": letter(bob, "three"),
			"V-85": {Envelopes: []*posthornv1.Envelope{spoiled}}, "V-86": many, "V-86 of claims": claims, "stale": stale,
			"too large": letter(carol, strings.Repeat("x", api.MaxEnvelope+1)),
		} {
			want, refused := alice.line.mailbox.Send(bearer(t, alice.token), request)
			m.ask(request)
			got := m.hear()
			if got.GetNumber() != m.number {
				t.Fatalf("%s: answer %d to request %d", name, got.GetNumber(), m.number)
			}
			if refused == nil && !proto.Equal(got.GetSent(), want) {
				t.Errorf("%s: %v on a stream, %v in a call", name, got, want)
			}
			if refused != nil {
				r, detail := got.GetRefused(), detailOf(t, refused)
				if r.GetCode() != connect.CodeOf(refused).String() || !proto.Equal(r.GetDetail(), detail) || !strings.Contains(refused.Error(), r.GetText()) || r.GetText() == "" {
					t.Errorf("%s: %v on a stream, %v in a call", name, got, refused)
				}
			}
		}
		if err := m.stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if err := m.end(); !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
		if got := carol.fetch(); len(got) != 1 {
			t.Errorf("%d envelopes, want the accepted one once", len(got))
		}
	})
}

// changeRoster makes the account's newest statement another than its first.
func (o *office) changeRoster(p *person) error {
	_, err := p.line.directory.UpdateRoster(o.t.Context(), p.linking(p.sibling()))
	return err
}

// Requests that are written without waiting are stored in their order, and each
// is answered, in that order.
func TestSendStreamKeepsOrder(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		const n = 500
		o := openOver(t, s, Options{OpenRegistration: true})
		alice, bob := o.join("alice"), o.join("bob")
		m := alice.speak(o)
		var writing sync.WaitGroup
		writing.Go(func() {
			for i := range n {
				m.ask(letter(bob, string(binary.BigEndian.AppendUint32(nil, uint32(i)))))
			}
		})
		for i := range n {
			if a := m.hear(); a.GetNumber() != uint64(i+1) || a.GetSent().GetStatuses()[0] != posthornv1.SendStatus_SEND_STATUS_ACCEPTED {
				t.Fatalf("answer %d: %v", i+1, a)
			}
		}
		writing.Wait()
		for i, d := range bob.fetch() {
			if binary.BigEndian.Uint32(d.GetPayload()) != uint32(i) {
				t.Fatalf("place %d has %x", i, d.GetPayload())
			}
		}
	})
}

// The same envelope, on a stream, on another and in a call, is stored once.
func TestSendStreamIsRepeatable(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	once := letter(bob, "once")
	for range 2 {
		m := alice.speak(o)
		m.ask(once)
		m.ask(once)
		for range 2 {
			if a := m.hear(); a.GetSent().GetStatuses()[0] != posthornv1.SendStatus_SEND_STATUS_ACCEPTED {
				t.Fatal(a)
			}
		}
	}
	alice.sendAll(once.GetEnvelopes()...)
	if got := bob.fetch(); len(got) != 1 {
		t.Errorf("stored %d times", len(got))
	}
}

func TestV270NumbersOnASendStream(t *testing.T) {
	for name, numbers := range map[string][]uint64{"zero": {0}, "not one": {2}, "twice": {1, 1}, "left out": {1, 3}} {
		t.Run(name, func(t *testing.T) {
			o := open(t)
			alice, bob := o.join("alice"), o.join("bob")
			m := alice.speak(o)
			for _, n := range numbers {
				if err := m.stream.Send(&posthornv1.SendStreamRequest{Number: n, Send: letter(bob, "x")}); err != nil {
					t.Fatal(err)
				}
			}
			for range len(numbers) - 1 {
				m.hear()
			}
			wantRefusal(t, m.end(), connect.CodeInvalidArgument, api.ReasonBadRequest)
			if got := bob.fetch(); len(got) != len(numbers)-1 {
				t.Errorf("%d envelopes", len(got))
			}
		})
	}
}

// Each request on a stream counts against the rates of its device, as a call
// does, and a refused one does not end the stream.
func TestV89RatesOnASendStream(t *testing.T) {
	tight := DefaultLimits()
	tight.Sends, tight.Bytes = Rate{PerSecond: 0.001, Burst: 4}, Rate{PerSecond: 0.001, Burst: 20}
	o := openOver(t, memory.New(), Options{OpenRegistration: true, Limits: tight})
	alice, bob := o.join("alice"), o.join("bob")
	alice.sendAll(envelope(bob, "ten bytes!"))
	m := alice.speak(o)
	for i, c := range []struct {
		payload string
		refused bool
	}{{"ten bytes!", false}, {"no bytes", true}, {"are left", true}, {"and no calls", true}} {
		m.ask(letter(bob, c.payload))
		a := m.hear()
		r := a.GetRefused()
		if refused := r != nil; refused != c.refused || refused && (r.GetCode() != "resource_exhausted" || r.GetDetail().GetReason() != api.ReasonRateLimited || r.GetDetail().GetRetryAfterMs() == 0) {
			t.Errorf("request %d: %v", i, a)
		}
	}
	if got := bob.fetch(); len(got) != 2 {
		t.Errorf("%d envelopes arrived", len(got))
	}
	_, err := alice.send(envelope(bob, "x"))
	wantRefusal(t, err, connect.CodeResourceExhausted, api.ReasonRateLimited)
}

// A token that is revoked or has ended ends the stream at its next request,
// which has no effect.
func TestV81SendStreamAfterItsToken(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	m := alice.speak(o)
	m.ask(letter(bob, "before"))
	m.hear()
	who := caller{alice.party.Account, alice.party.Device.ID, boxOf(t, o, alice)}
	err := changeLogins(t.Context(), o.store, o.store.CAS, who, func(r *loginRecord) error { r.tokens = nil; return nil })
	if err != nil {
		t.Fatal(err)
	}
	o.srv.auth.tokens.askAgain(who.box)
	m.ask(letter(bob, "after"))
	wantRefusal(t, m.end(), connect.CodeUnauthenticated, api.ReasonNoToken)
	if got := bob.fetch(); len(got) != 1 || string(got[0].GetPayload()) != "before" {
		t.Errorf("stored %v", got)
	}
}

// A device that is shut out loses its send stream as it loses its delivery
// stream: at once, also when it says nothing.
func TestV155SendStreamOfADisabledAccount(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	m := alice.speak(o)
	m.ask(letter(bob, "before"))
	m.hear()
	if err := o.srv.Disable(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, m.end(), connect.CodePermissionDenied, api.ReasonAccountDisabled)
	if got := bob.fetch(); len(got) != 1 {
		t.Errorf("%d envelopes", len(got))
	}
}

func TestNewerSendStreamReplacesTheOlder(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	older := alice.speak(o)
	older.ask(letter(bob, "older"))
	older.hear()
	newer := alice.speak(o)
	newer.ask(letter(bob, "newer"))
	newer.hear()
	wantRefusal(t, older.end(), connect.CodeAborted, api.ReasonReplaced)
	newer.ask(letter(bob, "and on"))
	newer.hear()
}

// gated is a store that lets what was submitted become durable when it is told
// to.
type gated struct {
	store.Store
	open chan struct{} // closed to let everything through

	mu        sync.Mutex
	submitted int
	wanted    int
	reached   chan struct{} // closed when as many as wanted were submitted
}

func newGated(s store.Store, wanted int) *gated {
	return &gated{Store: s, open: make(chan struct{}), wanted: wanted, reached: make(chan struct{})}
}

func (g *gated) Submit(ctx context.Context, envs []store.Envelope) (store.Pending, error) {
	p, err := g.Store.Submit(ctx, envs)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.submitted++; g.submitted == g.wanted {
		close(g.reached)
	}
	return &gatedPending{p, g.open}, err
}

func (g *gated) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.submitted
}

type gatedPending struct {
	store.Pending
	open chan struct{}
}

func (p *gatedPending) Ready() bool {
	select {
	case <-p.open:
		return p.Pending.Ready()
	default:
		return false
	}
}

func (p *gatedPending) Wait(ctx context.Context) ([]store.Appended, error) {
	select {
	case <-p.open:
		return p.Pending.Wait(ctx)
	case <-ctx.Done():
		_, _ = p.Pending.Wait(ctx)
		return nil, ctx.Err()
	}
}

// A server that stops answers what it has taken on before it says that it
// stops, and takes nothing more on.
func TestStopWithSendsUnderWay(t *testing.T) {
	const n = 10
	g := newGated(memory.New(), n)
	o := openOver(t, g, Options{OpenRegistration: true})
	alice, bob := o.join("alice"), o.join("bob")
	m := alice.speak(o)
	for i := range n {
		m.ask(letter(bob, fmt.Sprint(i)))
	}
	<-g.reached
	stopped := make(chan struct{})
	go func() { o.close(); close(stopped) }()
	<-o.srv.stopping
	close(g.open)
	for i := range n {
		if a := m.hear(); a.GetNumber() != uint64(i+1) || a.GetSent().GetStatuses()[0] != posthornv1.SendStatus_SEND_STATUS_ACCEPTED {
			t.Errorf("answer %d: %v", i+1, a)
		}
	}
	wantRefusal(t, m.end(), connect.CodeUnavailable, api.ReasonStopping)
	<-stopped
}

// What a device sends ahead of the answers is bounded, in number and in bytes:
// beyond it nothing is read, until answers are through.
func TestSendStreamWindow(t *testing.T) {
	for name, c := range map[string]struct{ size, taken int }{
		"small": {100, api.SendWindow}, "large": {3*sendUnit + 1, api.SendWindow / 4}, "largest": {api.MaxEnvelope, api.SendWindow / 17},
	} {
		t.Run(name, func(t *testing.T) {
			g, patient := newGated(memory.New(), c.taken), DefaultLimits()
			patient.CallTime = time.Hour // nothing is answered before the gate opens
			o := openOver(t, g, Options{OpenRegistration: true, Limits: patient})
			alice, bob := o.join("alice"), o.join("bob")
			m := alice.speak(o)
			const n = 3 * api.SendWindow
			var writing sync.WaitGroup
			writing.Go(func() {
				for range n {
					m.ask(letter(bob, strings.Repeat("x", c.size)))
				}
			})
			<-g.reached
			time.Sleep(50 * time.Millisecond) // time to go too far
			if got := g.count(); got != c.taken {
				t.Errorf("%d requests were taken on, want %d", got, c.taken)
			}
			close(g.open)
			for i := range n {
				if a := m.hear(); a.GetNumber() != uint64(i+1) {
					t.Fatalf("answer %d: %v", i+1, a)
				}
			}
			writing.Wait()
		})
	}
}

// A store that hangs is answered for when a call's time is over, and goes on
// being asked.
func TestSendStreamOverAStoreThatHangs(t *testing.T) {
	quick := DefaultLimits()
	quick.CallTime = 2 * time.Second
	g := newGated(memory.New(), 1)
	calls, o := openOver(t, g, Options{OpenRegistration: true}), openOver(t, g, Options{Limits: quick})
	alice, bob := calls.join("alice"), calls.join("bob")
	m := alice.speak(o)
	m.ask(letter(bob, "x"))
	if r := m.hear().GetRefused(); r.GetCode() != "unavailable" || r.GetDetail().GetReason() != api.ReasonStorage {
		t.Errorf("answered %v", r)
	}
	close(g.open)
	await(t, func() bool { // on a busy machine a good store too may take longer than a call has
		m.ask(letter(bob, "y"))
		return m.hear().GetSent() != nil
	})
}
