package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
)

// attackers are those who cost the server more than they give. On loopback
// each kind comes from an address of its own, as strangers do. What they do in
// a second is bounded, for they use the same processor.
type attackers struct {
	server *url.URL
	crowd  int     // connections of each kind that is about connections
	inside *device // an account of theirs
	victim *mailbox

	did     map[string]*atomic.Int64 // steps made, by kind
	refused map[string]*atomic.Int64 // of them, what the server did not go along with
}

// attacks are the kinds, by name: what one member of a crowd does until ctx
// ends.
var attacks = map[string]func(*attackers, context.Context, *raider){
	"slow heads":      (*attackers).dripHead,
	"slow bodies":     (*attackers).dripBody,
	"connections":     (*attackers).sitThere,
	"huge bodies":     (*attackers).pushBody,
	"logins":          (*attackers).guess,
	"flooding sender": (*attackers).flood,
}

// few are the kinds of which a handful does as much as a crowd.
var few = map[string]int{"huge bodies": 4, "logins": 4, "flooding sender": 4}

// connectionsPerCrowd makes a flood of connections go past what one address
// may have by default.
const connectionsPerCrowd = 12

// besiege enlists an account of the attackers.
func (p *plan) besiege(ctx context.Context, victim *mailbox) (*attackers, error) {
	inside, err := p.office.enrol(ctx, "x", 1)
	if err != nil {
		return nil, err
	}
	a := &attackers{server: p.office.address, crowd: p.crowd, inside: inside[0], victim: victim, did: map[string]*atomic.Int64{}, refused: map[string]*atomic.Int64{}}
	for kind := range attacks {
		if !strings.Contains(kind, p.attack) {
			continue
		}
		a.did[kind], a.refused[kind] = &atomic.Int64{}, &atomic.Int64{}
	}
	return a, a.inside.stub.ready(ctx)
}

// begin starts every attack and returns once each has made a step. stop ends
// them, with all their connections.
func (a *attackers) begin(ctx context.Context) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var all, begun sync.WaitGroup
	number := 0
	for kind := range a.did {
		attack := attacks[kind]
		number++
		members := a.crowd
		if few[kind] > 0 {
			members = few[kind]
		}
		if kind == "connections" {
			members *= connectionsPerCrowd
		}
		begun.Add(1)
		first := sync.OnceFunc(begun.Done)
		from := a.address(number)
		for n := range members {
			all.Go(func() {
				defer first()
				// They do not come all at once: a second for the whole crowd.
				pause(ctx, time.Duration(n)*time.Second/time.Duration(members))
				r := &raider{server: a.server, from: from, did: a.did[kind], refused: a.refused[kind], first: first}
				attack(a, ctx, r)
			})
		}
	}
	begun.Wait()
	return func() { cancel(); all.Wait() }, ctx.Err()
}

// address is where one kind comes from: its own address of this machine, or
// whatever the system gives when the server is elsewhere.
func (a *attackers) address(kind int) net.Addr {
	if ip := net.ParseIP(a.server.Hostname()); ip == nil || !ip.IsLoopback() || ip.To4() == nil {
		return nil
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(kind))}
}

// raider is one member of a crowd. It is for one goroutine.
type raider struct {
	server       *url.URL
	from         net.Addr
	did, refused *atomic.Int64
	first        func() // says that the attack has begun
}

func (r *raider) step() { r.did.Add(1); r.first() }

// between is the least time between two steps of one raider.
const between = 10 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// talk connects, says something and goes on with f, again and again. The end
// of ctx closes the connection under whatever f does.
func (r *raider) talk(ctx context.Context, opening string, f func(net.Conn)) {
	for ctx.Err() == nil {
		c, err := dial(ctx, r.server, r.from, "http/1.1")
		if err == nil {
			release := context.AfterFunc(ctx, func() { _ = c.Close() })
			_, _ = io.WriteString(c, opening)
			f(c)
			release()
			_ = c.Close()
		}
		pause(ctx, between)
	}
}

// drip sends a byte now and then until the server has had enough.
func (r *raider) drip(ctx context.Context, c net.Conn) {
	r.step()
	hungUp := make(chan struct{})
	go func() { defer close(hungUp); _, _ = io.Copy(io.Discard, c) }()
	defer func() { _ = c.Close(); <-hungUp }()
	for tick := time.NewTicker(20 * between); ; {
		select {
		case <-ctx.Done():
			return
		case <-hungUp:
			r.refused.Add(1)
			return
		case <-tick.C:
			_, _ = c.Write([]byte{'a'})
		}
	}
}

func (a *attackers) dripHead(ctx context.Context, r *raider) {
	r.talk(ctx, "POST "+posthornv1connect.MailboxServiceSendProcedure+" HTTP/1.1\r\nX-Slow: ", func(c net.Conn) { r.drip(ctx, c) })
}

func (a *attackers) dripBody(ctx context.Context, r *raider) {
	r.talk(ctx, a.head(posthornv1connect.MailboxServiceSendProcedure, 100_000), func(c net.Conn) { r.drip(ctx, c) })
}

// sitThere says nothing, and waits for the server to hang up.
func (a *attackers) sitThere(ctx context.Context, r *raider) {
	r.talk(ctx, "", func(c net.Conn) {
		r.step()
		if _, _ = c.Read(make([]byte, 1)); ctx.Err() == nil {
			r.refused.Add(1)
		}
		pause(ctx, 100*between)
	})
}

// pushBody sends a gigabyte for as long as somebody takes it.
func (a *attackers) pushBody(ctx context.Context, r *raider) {
	const size = 1 << 30
	junk := make([]byte, 64<<10)
	r.talk(ctx, a.head(posthornv1connect.MailboxServiceSendProcedure, size), func(c net.Conn) {
		go func() {
			for sent := 0; sent < size; sent += len(junk) {
				if _, err := c.Write(junk); err != nil {
					return
				}
			}
		}()
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if ctx.Err() == nil && (err != nil || answer.StatusCode != http.StatusOK) {
			r.refused.Add(1)
			r.step()
		}
	})
}

func (a *attackers) head(procedure string, length int) string {
	return string((&stub{server: a.server, token: a.inside.stub.token}).headOf(procedure, length))
}

// guess logs in with proofs that prove nothing, of a device that exists.
func (a *attackers) guess(ctx context.Context, r *raider) {
	s := newStub(a.server, a.inside, nil)
	s.from, s.renewAt = r.from, time.Now().Add(time.Hour) // it never logs in
	defer s.hangUp()
	me := a.inside.Party()
	for ctx.Err() == nil {
		proof := &posthornv1.Proof{AccountId: me.Account[:], DeviceId: me.Device.ID[:], EcdsaSignature: noise(64), MldsaSignature: noise(3309)}
		_, body, err := s.call(ctx, request{procedure: posthornv1connect.AuthServiceGetChallengeProcedure})
		var challenge posthornv1.GetChallengeResponse
		if err == nil && proto.Unmarshal(body, &challenge) == nil {
			proof.Challenge = challenge.GetChallenge()
		}
		packed, _ := proto.Marshal(&posthornv1.AuthenticateRequest{Proof: proof})
		status, _, err := s.call(ctx, request{procedure: posthornv1connect.AuthServiceAuthenticateProcedure, body: packed})
		if r.step(); err == nil && status != http.StatusOK {
			r.refused.Add(1)
		}
		pause(ctx, between)
	}
}

// flooded is how long the flooding sender's envelopes are.
const flooded = 10_007

// flood sends to one good client without end, over a connection of its own.
func (a *attackers) flood(ctx context.Context, r *raider) {
	s := newStub(a.server, a.inside, nil)
	s.from, s.token, s.renewAt = r.from, a.inside.stub.token, a.inside.stub.renewAt
	defer s.hangUp()
	to := a.victim.device.Party()
	for payload := noise(flooded); ctx.Err() == nil; pause(ctx, between/5) {
		post, err := sendRequest([]*posthornv1.Envelope{{Id: noise(16), AccountId: to.Account[:], DeviceId: to.Device.ID[:], Payload: payload}})
		if err != nil {
			return
		}
		status, _, err := s.call(ctx, post)
		if r.step(); err == nil && status != http.StatusOK {
			r.refused.Add(1)
		}
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// tally tells what the attackers did, and how much of it was refused.
func (a *attackers) tally() map[string]string {
	rows := map[string]string{}
	for kind, n := range a.did {
		rows[kind] = fmt.Sprintf("%d, %d refused", n.Load(), a.refused[kind].Load())
	}
	return rows
}
