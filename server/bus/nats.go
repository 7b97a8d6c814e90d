package bus

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// subjects of what is for one node and of what is for all.
	toOne, toAll = "posthorn.node.", "posthorn.nodes"

	// pingEvery and pingsOut say when a silent connection counts as broken:
	// after four to six seconds.
	pingEvery = 2 * time.Second
	pingsOut  = 2
	// dialTime bounds one attempt to connect, redialAfter is the pause before
	// the next one.
	dialTime    = 2 * time.Second
	redialAfter = 500 * time.Millisecond
	// writeTime bounds how long the network may hold up the sending goroutine.
	writeTime = 2 * time.Second

	// queued and queuedBytes bound what waits to be sent, and what has arrived
	// and waits to be looked at, one each.
	queued      = 8192
	queuedBytes = 16 << 20
)

// Options say how to reach a NATS server.
type Options struct {
	// URL is nats://HOST:PORT or tls://HOST:PORT, with more of them after
	// commas, and USER:PASSWORD@ or TOKEN@ in front of HOST if need be. With one
	// tls:// among them no connection goes without TLS.
	URL string
	// Credentials is a file with a NATS user's credentials, or with the seed of
	// its nkey alone; or "".
	Credentials string
	// CA is a PEM file with the authorities that may vouch for the NATS server,
	// in place of the system's; or "".
	CA string
	// Cert and Key are PEM files with the certificate of this node, for a NATS
	// server that wants one; or "".
	Cert, Key string
	// Log gets what an operator should know, without addresses.
	Log *slog.Logger
}

// NATS is a Bus over an ordinary NATS server. Make it with New.
type NATS struct {
	url     string
	options []nats.Option
	log     *slog.Logger

	in      Receiver
	conn    *nats.Conn
	ended   chan struct{} // closed when the connection is closed for good
	out     chan outgoing
	waiting atomic.Int64 // bytes in out
	lost    atomic.Uint64
	reached atomic.Uint64
	told    atomic.Value // why the bus is not reached, as a text: so that it is told once
	stop    chan struct{}
	sender  sync.WaitGroup
}

var _ Bus = (*NATS)(nil)

type outgoing struct {
	subject string
	message []byte
}

// New checks the options. It connects to nothing: Join does. ErrAddress, or why
// the credentials cannot be read.
func New(o Options) (*NATS, error) {
	for one := range strings.SplitSeq(o.URL, ",") {
		u, err := url.Parse(one)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" {
			return nil, ErrAddress // without the cause, which may quote a password
		}
	}
	n := &NATS{url: o.URL, log: o.Log, ended: make(chan struct{}), stop: make(chan struct{}), out: make(chan outgoing, queued)}
	n.options = []nats.Option{
		nats.Name("posthornd"), nats.NoEcho(),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(redialAfter), nats.ReconnectJitter(redialAfter, redialAfter), nats.ReconnectBufSize(-1),
		nats.Timeout(dialTime), nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(pingsOut), nats.FlusherTimeout(writeTime),
		nats.DisconnectErrHandler(func(*nats.Conn, error) {
			n.lost.Add(1) // what was on its way
			n.changed("the bus is lost; it is tried again for ever")
		}),
		nats.ConnectHandler(n.connected), nats.ReconnectHandler(n.connected),
		nats.ErrorHandler(n.failed), nats.ReconnectErrHandler(n.notReached),
		nats.ClosedHandler(func(*nats.Conn) { close(n.ended) }),
	}
	for _, part := range []func(Options) (nats.Option, error){secure, identify} {
		option, err := part(o)
		if err != nil {
			return nil, err
		}
		if option != nil {
			n.options = append(n.options, option)
		}
	}
	return n, nil
}

// Join begins to connect and to receive; see Bus.
func (n *NATS) Join(node string, in Receiver) error {
	n.in = in
	conn, err := nats.Connect(n.url, n.options...)
	if err != nil {
		return fmt.Errorf("bus: %w", withoutAddress(err))
	}
	n.conn = conn
	for _, subject := range []string{toOne + node, toAll} {
		s, err := conn.Subscribe(subject, func(m *nats.Msg) { in.Receive(m.Data) })
		if err == nil {
			err = s.SetPendingLimits(queued, queuedBytes)
		}
		if err != nil {
			conn.Close()
			<-n.ended
			return fmt.Errorf("bus: %w", withoutAddress(err))
		}
	}
	n.sender.Go(n.send)
	return nil
}

// withoutAddress keeps the text of an error only if the library's own words are
// all there is in it.
func withoutAddress(err error) error {
	for _, known := range []error{nats.ErrAuthorization, nats.ErrNkeysNotSupported, nats.ErrSecureConnRequired, nats.ErrSecureConnWanted, nats.ErrNoServers, nats.ErrTimeout, syscall.ECONNREFUSED} {
		if errors.Is(err, known) {
			return known
		}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return errors.New("the certificate of the NATS server is not one that is trusted")
	}
	return errors.New("the connection cannot be set up")
}

// connected is told of each connection that is made.
func (n *NATS) connected(*nats.Conn) {
	n.reached.Add(1)
	n.told.Store("")
	n.changed("the bus is reached")
}

// notReached is told of each attempt that failed.
func (n *NATS) notReached(_ *nats.Conn, err error) {
	why := withoutAddress(err)
	if n.told.Swap(why.Error()) != why.Error() {
		n.log.Warn("the bus is not reached; it is tried again for ever", "error", why)
	}
}

// changed notes that the connection came or went.
func (n *NATS) changed(what string) {
	n.log.Info(what)
	n.in.Disturbed()
}

// failed is told of errors on the way, such as messages that were dropped
// because they came faster than they were taken.
func (n *NATS) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		n.lost.Add(1)
		n.in.Disturbed()
		return
	}
	n.log.Warn("the bus reports an error", "error", withoutAddress(err))
}

// Send queues a message for one node; see Bus.
func (n *NATS) Send(node string, message []byte) { n.queue(toOne+node, message) }

// Broadcast queues a message for all other nodes; see Bus.
func (n *NATS) Broadcast(message []byte) { n.queue(toAll, message) }

// queue takes a message if there is room.
func (n *NATS) queue(subject string, message []byte) {
	size := int64(len(message))
	if n.waiting.Add(size) <= queuedBytes {
		select {
		case n.out <- outgoing{subject, message}:
			return
		default:
		}
	}
	n.waiting.Add(-size)
	n.lost.Add(1)
}

// send writes what is queued. It alone waits for the network, writeTime at most;
// while the bus is away messages are dropped.
func (n *NATS) send() {
	for {
		select {
		case o := <-n.out:
			n.waiting.Add(-int64(len(o.message)))
			if err := n.conn.Publish(o.subject, o.message); err != nil {
				n.lost.Add(1)
			}
		case <-n.stop:
			return
		}
	}
}

// Up tells whether the bus is connected; see Bus.
func (n *NATS) Up() bool { return n.conn.IsConnected() }

// Reached counts the connections that were made; see Bus.
func (n *NATS) Reached() uint64 { return n.reached.Load() }

// Lost counts what may have been lost; see Bus.
func (n *NATS) Lost() uint64 { return n.lost.Load() }

// Close sends nothing more and ends the connection; see Bus.
func (n *NATS) Close() {
	if n.conn == nil {
		return
	}
	close(n.stop)
	n.conn.Close()
	n.sender.Wait()
	<-n.ended
}
