package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/invite"
)

const (
	// callTimeout bounds one request and its answer.
	callTimeout = 20 * time.Second
	// dialTimeout bounds a connection attempt, so that a silent network shows
	// as offline while a person still waits.
	dialTimeout = 5 * time.Second
	// maxAnswer is the greatest message read from a server, in bytes: a batch of
	// deliveries with the largest envelopes.
	maxAnswer = 20 << 20
)

// Device is who the client speaks for.
type Device struct {
	Account account.ID
	ID      account.DeviceID
	Key     *account.SigningKey
	Rand    io.Reader // for hedged signatures; nil means deterministic ones
	Seat    Seat      // nil: the device does not notice copies of itself
}

// Seat keeps how far the logins of a device have come, on disk.
type Seat interface {
	// Claim is what the next login says. The next value is on disk when it
	// returns, and the same until Taken.
	Claim(ctx context.Context) (number uint64, value, next [16]byte, err error)
	// Taken says that the server has gone on to next. copied: an older copy of
	// this device has tried to log in before.
	Taken(ctx context.Context, copied bool) error
	// Behind says that the server lets this device in no more, because another copy
	// of it has gone on. ahead is the login by which it shows that; nil: it shows
	// none. The answer is the error of the login.
	Behind(ctx context.Context, ahead *Login) error
}

// Login is what a device has signed about its seat at a login (api.SeatBytes).
// The signature is not verified.
type Login struct {
	Number      uint64
	Value, Next [api.SeatSize]byte
	Signature   [account.ECDSASignatureSize]byte
}

// loginIn reads what a server shows; nil: nothing that could be one.
func loginIn(seat *posthornv1.Seat) *Login {
	if seat == nil || len(seat.GetValue()) != api.SeatSize || len(seat.GetNext()) != api.SeatSize ||
		len(seat.GetSignature()) != account.ECDSASignatureSize {
		return nil
	}
	return &Login{
		Number: seat.GetNumber(), Value: [api.SeatSize]byte(seat.GetValue()), Next: [api.SeatSize]byte(seat.GetNext()),
		Signature: [account.ECDSASignatureSize]byte(seat.GetSignature()),
	}
}

// Options are the choices a Client leaves open. The zero value is right for
// every server behind a URL.
type Options struct {
	// H2C speaks HTTP/2 without TLS to a plain http address, one connection for
	// all calls. Without it plain http is HTTP/1.1, which every proxy passes on.
	// With TLS the two ends always negotiate.
	H2C bool
	// Anyone takes whatever certificate the server shows. Only for calls that
	// need no trust in it and carry no token: those of a pairing.
	Anyone bool
	// Pin is the one certificate that the server may show; nil: any that the
	// system trusts for the address.
	Pin *invite.Fingerprint
}

// Client makes the calls of one device to one server. It is safe for
// concurrent use. Close it when done.
type Client struct {
	device   Device
	audience string
	http     *http.Transport

	auth      posthornv1connect.AuthServiceClient
	directory posthornv1connect.DirectoryServiceClient
	mailbox   posthornv1connect.MailboxServiceClient

	attachments  posthornv1connect.AttachmentServiceClient
	transparency posthornv1connect.TransparencyServiceClient
	pairing      posthornv1connect.PairingServiceClient

	mu    sync.Mutex // guards token; held while a new one is fetched
	token token
	lines sendLines
}

// Format shows nothing of the client, which holds a token.
func (c *Client) Format(f fmt.State, _ rune) { secret.Redact(f) }

// New makes a client for the server at a URL. It opens no connection. The
// error is ErrAddress.
func New(serverURL string, device Device, options Options) (*Client, error) {
	address, err := ParseAddress(serverURL)
	if err != nil {
		return nil, err
	}
	network := newHTTP(options)
	caller := &http.Client{Transport: network, CheckRedirect: stayHere}
	rpc := connect.NewClient(connecthttp.NewTransport(caller, address.String(),
		connecthttp.WithReadMaxBytes(maxAnswer), connecthttp.WithCompressors()))
	return &Client{
		device: device, audience: address.Host, http: network,
		lines:     sendLines{http: caller, url: lineURL(address.String())},
		auth:      posthornv1connect.NewAuthServiceClient(rpc),
		directory: posthornv1connect.NewDirectoryServiceClient(rpc),
		mailbox:   posthornv1connect.NewMailboxServiceClient(rpc),

		attachments:  posthornv1connect.NewAttachmentServiceClient(rpc),
		transparency: posthornv1connect.NewTransparencyServiceClient(rpc),
		pairing:      posthornv1connect.NewPairingServiceClient(rpc),
	}, nil
}

// Close ends the stream that KeepSending has opened, if any, and drops idle
// connections. Other streams end with their contexts.
func (c *Client) Close() {
	c.lines.mu.Lock()
	c.lines.hangUp()
	c.lines.mu.Unlock()
	c.http.CloseIdleConnections()
}

// newHTTP requires TLS 1.3 with the hybrid post-quantum key exchange wherever
// there is TLS.
func newHTTP(options Options) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!options.H2C)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(options.H2C)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     tlsConfig(options),
		TLSHandshakeTimeout: dialTimeout,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: keptConnections,
		Protocols:           protocols,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 45 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// stayHere follows no redirect: a token goes to the server it was made for.
func stayHere(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// keptConnections is how many idle connections to the server are kept.
const keptConnections = 4

// call gives one request a deadline and turns its error into an *Error. A kept
// connection may have died with the server at its other end, which shows only
// when it is used; so a call that did not get through is tried again until
// none of the kept ones is left. Every call may be repeated.
func call[Q, A any](ctx context.Context, f func(context.Context, Q) (A, error), request Q) (A, error) {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := f(bounded, request)
	for i := 0; i < keptConnections && lostOnTheWay(err) && bounded.Err() == nil; i++ {
		answer, err = f(bounded, request)
	}
	return answer, failure(ctx, err)
}

// lostOnTheWay reports whether a call failed before a server answered it.
func lostOnTheWay(err error) bool {
	var rpc *connect.Error
	if err == nil || errors.As(err, &rpc) && rpc.IsRemote() {
		return false
	}
	if _, bad := untrusted(err); bad {
		return false
	}
	return rpc == nil || rpc.Code() == connect.CodeUnavailable || rpc.Code() == connect.CodeCanceled
}
