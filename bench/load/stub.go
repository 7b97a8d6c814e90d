package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/client/transport"
)

// stub is one kept HTTP/1.1 connection that sends requests whose bytes were
// made beforehand. An ordinary HTTP client would take as much of the machine
// as the server that is measured. It is for one goroutine.
type stub struct {
	server *url.URL
	device *device
	key    *account.SigningKey
	from   net.Addr // where to connect from, or nil

	token   string
	renewAt time.Time
	conn    net.Conn
	answers *bufio.Reader
	body    []byte // of the last answer
}

func newStub(server *url.URL, d *device, key *account.SigningKey) *stub {
	return &stub{server: server, device: d, key: key}
}

// answerTime bounds one request and its answer. After it the outcome is
// unknown and the same request goes out again.
const answerTime = 10 * time.Second

// request is the bytes of one call, but for the token in its header.
type request struct {
	procedure string
	body      []byte
}

// head is everything of a call before its body.
func (s *stub) head(r request) []byte { return s.headOf(r.procedure, len(r.body)) }

func (s *stub) headOf(procedure string, length int) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/proto\r\nConnect-Protocol-Version: 1\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n",
		procedure, s.server.Host, s.token, length)
}

// ready logs in and connects where that is not done yet.
func (s *stub) ready(ctx context.Context) error {
	if time.Now().After(s.renewAt) {
		if err := s.login(ctx); err != nil {
			return fmt.Errorf("login: %w", err)
		}
	}
	if s.conn != nil {
		return nil
	}
	conn, err := dial(ctx, s.server, s.from, "http/1.1")
	if err != nil {
		return err
	}
	s.conn, s.answers = conn, bufio.NewReader(conn)
	return nil
}

// dial connects to a server, from an address or, with nil, from any, to speak
// one version of HTTP.
func dial(ctx context.Context, server *url.URL, from net.Addr, version string) (net.Conn, error) {
	conn, err := (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", server.Host)
	if err != nil || server.Scheme != "https" {
		return conn, err
	}
	return tls.Client(conn, &tls.Config{ServerName: server.Hostname(), MinVersion: tls.VersionTLS13, NextProtos: []string{version}}), nil
}

// call sends one request and returns the answer's body, which is good until
// the next call. After an error the connection is gone and the outcome unknown.
func (s *stub) call(ctx context.Context, r request) (status int, body []byte, err error) {
	if err := s.ready(ctx); err != nil {
		return 0, nil, err
	}
	_ = s.conn.SetDeadline(time.Now().Add(answerTime))
	buffers := net.Buffers{s.head(r), r.body}
	if _, err = buffers.WriteTo(s.conn); err == nil {
		status, err = s.answer()
	}
	if err != nil {
		s.hangUp()
		return 0, nil, err
	}
	return status, s.body, nil
}

func (s *stub) hangUp() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

var errAnswer = errors.New("not an answer of the server")

// answer reads one HTTP/1.1 response with a declared length.
func (s *stub) answer() (status int, err error) {
	length := -1
	for first := true; ; first = false {
		line, err := s.answers.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case first && len(text) > 12:
			if status, err = strconv.Atoi(text[9:12]); err != nil {
				return 0, errAnswer
			}
		case first:
			return 0, errAnswer
		case text == "":
			return status, s.read(length)
		}
		if name, value, ok := strings.Cut(text, ":"); ok && strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return 0, errAnswer
			}
		}
	}
}

func (s *stub) read(length int) error {
	if length < 0 || length > api.MaxRequest {
		return errAnswer
	}
	if cap(s.body) < length {
		s.body = make([]byte, length)
	}
	s.body = s.body[:length]
	_, err := io.ReadFull(s.answers, s.body)
	return err
}

// login proves both device keys and keeps the token.
func (s *stub) login(ctx context.Context) error {
	auth := posthornv1connect.NewAuthServiceClient(connect.NewClient(connecthttp.NewTransport(http.DefaultClient, s.server.String())))
	for {
		err := s.prove(ctx, auth)
		var rpc *connect.Error
		if !errors.As(err, &rpc) || rpc.Code() != connect.CodeResourceExhausted {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (s *stub) prove(ctx context.Context, auth posthornv1connect.AuthServiceClient) error {
	challenge, err := auth.GetChallenge(ctx, &posthornv1.GetChallengeRequest{})
	if err != nil {
		return err
	}
	me := s.device.Party()
	signature, err := s.key.SignHybrid(rand.Reader, api.AuthBytes(s.server.Host, challenge.GetChallenge(), me.Account, me.Device.ID), api.AuthContext)
	if err != nil {
		return err
	}
	answer, err := auth.Authenticate(ctx, &posthornv1.AuthenticateRequest{Proof: &posthornv1.Proof{
		AccountId: me.Account[:], DeviceId: me.Device.ID[:], Challenge: challenge.GetChallenge(),
		EcdsaSignature: signature.ECDSA[:], MldsaSignature: signature.MLDSA[:],
	}})
	if err != nil {
		return err
	}
	s.token, s.renewAt = answer.GetToken(), time.Now().Add(api.TokenLife-2*time.Minute)
	return nil
}

// retryAfter is how long the server asks to wait, if that is what it says.
func retryAfter(err error) (time.Duration, bool) {
	var failed *transport.Error
	if !errors.As(err, &failed) || !errors.Is(failed.Err, transport.ErrLimited) {
		return 0, false
	}
	return max(failed.RetryAfter, 10*time.Millisecond), true
}
