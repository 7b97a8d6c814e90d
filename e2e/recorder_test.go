package e2e

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/pq3"
)

// recorder stands between clients and a server and keeps every envelope that
// any client ever tried to send, whether or not the server took it.
type recorder struct {
	t *testing.T

	fetched atomic.Int64 // ranges of attachments
	others  atomic.Int64 // requests for anything that is no call
	refuses atomic.Bool  // envelopes do not get through

	mu        sync.Mutex
	envelopes []*posthornv1.Envelope
}

// record starts a proxy in front of a server and returns its address.
func record(t *testing.T, server string) (*recorder, string) {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{t: t}
	forward := &httputil.ReverseProxy{
		// The server is spoken to as clients do. Over HTTP/1 the proxy sometimes closes
		// a connection on which an answer is still coming.
		Transport:     &http.Transport{Protocols: onlyHTTP2()},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // cut connections are what is tested
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host // what the device signed
		},
	}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case strings.HasSuffix(req.URL.Path, "MailboxService/Send"):
			r.keep(req)
			if r.refuses.Load() {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
		case strings.HasSuffix(req.URL.Path, "AttachmentService/FetchAttachment"):
			r.fetched.Add(1)
		case !strings.HasPrefix(req.URL.Path, "/posthorn.v1."):
			r.others.Add(1)
		}
		forward.ServeHTTP(w, req)
	}))
	front.Config.Protocols = new(http.Protocols)
	front.Config.Protocols.SetHTTP1(true)
	front.Config.Protocols.SetUnencryptedHTTP2(true)
	front.Config.ErrorLog = nil
	front.Start()
	t.Cleanup(front.Close)
	return r, front.URL
}

// onlyHTTP2 is HTTP/2 without TLS, as clients speak it on loopback.
func onlyHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// keep decodes the request and puts its body back. A request that was cut off
// in the middle of its body never left the client as a whole, but what arrived
// of it cannot be decoded either.
func (r *recorder) keep(req *http.Request) {
	body, err := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return
	}
	var sent posthornv1.SendRequest
	if err := proto.Unmarshal(body, &sent); err != nil {
		r.t.Errorf("a Send body that does not decode: %v", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.envelopes = append(r.envelopes, sent.GetEnvelopes()...)
}

// position is the place of a message in the ratchet. The session id differs
// for every session of every pair of devices.
type position struct {
	session      pq3.SessionID
	epoch, index uint32
}

// checkNoKeyReuse fails if two different byte strings were ever sent for one
// position of a ratchet, or under one envelope id, or if it saw fewer than
// least positions.
func (r *recorder) checkNoKeyReuse(least int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	byPosition, byID := map[position]string{}, map[string]string{}
	for _, e := range r.envelopes {
		payload := string(e.GetPayload())
		if earlier, ok := byID[string(e.GetId())]; ok && earlier != payload {
			r.t.Errorf("envelope %x was sent with two payloads", e.GetId())
		}
		byID[string(e.GetId())] = payload
		if pq3.KindOf(e.GetPayload()) != pq3.KindMessage {
			continue
		}
		m, err := pq3.ParseMessage(e.GetPayload())
		if err != nil {
			r.t.Errorf("a client sent a payload that is no message: %v", err)
			continue
		}
		at := position{m.Session(), m.Epoch(), m.Index()}
		if earlier, ok := byPosition[at]; ok && earlier != payload {
			r.t.Errorf("session %s epoch %d index %d was used for two messages", at.session, at.epoch, at.index)
		}
		byPosition[at] = payload
	}
	if len(byPosition) < least {
		r.t.Errorf("only %d messages were recorded, %d were expected", len(byPosition), least)
	}
	r.t.Logf("%d envelopes recorded, %d ratchet positions, none used twice", len(r.envelopes), len(byPosition))
}
