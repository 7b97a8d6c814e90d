package liar

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api/apitest"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
)

// front is the server as one client meets it.
type front struct {
	t   testing.TB
	url string

	mu    sync.Mutex
	lies  map[string]func(request, answer []byte) []byte
	told  int               // lies
	cut   string            // the procedure that gets no answer and does not reach the server
	says  map[string]string // by procedure: the reason for which it is refused
	asked map[string]int
	taken []*posthornv1.Envelope // what the client has handed over
}

// newFront stands before a server until the test ends.
func newFront(t testing.TB, server string) *front {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{t: t, lies: map[string]func(request, answer []byte) []byte{}, asked: map[string]int{}}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host // logins are made for the address that the client knows
		},
		ModifyResponse: f.answer,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	listening := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if f.note(r.URL.Path, body) {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), asked{}, body)))
	}))
	t.Cleanup(listening.Close)
	f.url = listening.URL
	return f
}

// asked is the key of a request's body in its context.
type asked struct{}

// note keeps what the client wants and what it hands over, and says whether the
// server is to get it.
func (f *front) note(procedure string, body []byte) (cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[procedure]++
	if procedure != posthornv1connect.MailboxServiceSendProcedure {
		return procedure == f.cut
	}
	var request posthornv1.SendRequest
	if err := proto.Unmarshal(body, &request); err != nil {
		f.t.Errorf("a client sends what is no request: %v", err)
	}
	f.taken = append(f.taken, request.GetEnvelopes()...)
	return procedure == f.cut
}

// breaks lets no call of a procedure through until the front is honest again.
func (f *front) breaks(procedure string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = procedure
}

// answer puts a lie in the place of an answer, and of the honest server's refusal
// to give one.
func (f *front) answer(response *http.Response) error {
	f.mu.Lock()
	path := response.Request.URL.Path
	lie, reason := f.lies[path], f.says[path]
	f.mu.Unlock()
	if reason != "" {
		return apitest.Refuse(response, reason, nil)
	}
	if lie == nil || aboutCaller(response.StatusCode) && path != posthornv1connect.DirectoryServiceFindRemovalProcedure {
		return nil
	}
	truth, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		truth, response.StatusCode, response.Status = nil, http.StatusOK, ""
		response.Header.Set("Content-Type", "application/proto")
	}
	request, _ := response.Request.Context().Value(asked{}).([]byte)
	changed := lie(request, truth)
	if !bytes.Equal(changed, truth) {
		f.mu.Lock()
		f.told++
		f.mu.Unlock()
	}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(changed)), int64(len(changed))
	response.Header.Set("Content-Length", strconv.Itoa(len(changed)))
	return nil
}

// refuses turns every call of a procedure away for a reason that is not true.
func (f *front) refuses(procedure, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.says = map[string]string{procedure: reason}
}

// aboutCaller reports whether a refusal is about who asks, or how often.
func aboutCaller(code int) bool {
	return code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusTooManyRequests
}

// message is a message of the schema, by its generated type.
type message[M any] interface {
	*M
	proto.Message
}

// lie rewrites all answers of a procedure from now on.
func lie[Q, A any, QP message[Q], AP message[A]](f *front, procedure string, change func(QP, AP)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lies[procedure] = func(request, answer []byte) []byte {
		q, a := QP(new(Q)), AP(new(A))
		if err := proto.Unmarshal(request, q); err != nil {
			f.t.Errorf("%s: the request: %v", procedure, err)
		}
		if err := proto.Unmarshal(answer, a); err != nil {
			f.t.Errorf("%s: the answer: %v", procedure, err)
		}
		change(q, a)
		changed, err := proto.Marshal(a)
		if err != nil {
			f.t.Errorf("%s: the lie: %v", procedure, err)
		}
		return changed
	}
}

// onAccount rewrites look-ups of one name.
func (f *front) onAccount(name account.Name, change func(*posthornv1.GetAccountRequest, *posthornv1.GetAccountResponse)) {
	lie(f, posthornv1connect.DirectoryServiceGetAccountProcedure, func(q *posthornv1.GetAccountRequest, a *posthornv1.GetAccountResponse) {
		if q.GetName() == string(name) || q.GetName() == "" && a.GetName() == string(name) {
			change(q, a)
		}
	})
}

// onBundle rewrites all bundles.
func (f *front) onBundle(change func(*posthornv1.FetchBundleResponse)) {
	lie(f, posthornv1connect.DirectoryServiceFetchBundleProcedure, func(_ *posthornv1.FetchBundleRequest, a *posthornv1.FetchBundleResponse) { change(a) })
}

// honest ends all lies.
func (f *front) honest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.lies)
	f.cut, f.says = "", nil
}

// count says how often a procedure was asked for, and how many lies were told.
func (f *front) count(procedure string) (asked, told int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[procedure], f.told
}

// envelopes lists for whom the client has handed over envelopes, as account and
// device.
func (f *front) envelopes() (list []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.taken {
		list = append(list, recipient(e.GetAccountId(), e.GetDeviceId()))
	}
	return list
}

func recipient(id, device []byte) string { return fmt.Sprintf("%x/%x", id, device) }
