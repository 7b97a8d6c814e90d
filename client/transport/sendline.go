package transport

import (
	"context"
	"errors"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	// firstAnswer is how long a new send stream may take to answer its first
	// request. A proxy that does not pass streams on may never answer.
	firstAnswer = 5 * time.Second
	// lineIdle is how long a send stream stays open that nothing is sent on.
	lineIdle = 30 * time.Second
	// shunned is how long no send stream is tried after one that did not work.
	shunned = 10 * time.Minute
)

// sendLines are the send streams of a client, one at a time. They exist only
// while somebody asks for them: a single message is sent sooner without.
type sendLines struct {
	possible bool // the connection can be HTTP/2

	mu     sync.Mutex
	wanted int       // by how many
	line   *sendLine // nil: none is open
	shun   time.Time // until then none is tried
}

// KeepSending makes Send use one stream for all that is sent until release is
// called, where the server and everything on the way to it let it.
func (c *Client) KeepSending() (release func()) {
	c.lines.mu.Lock()
	defer c.lines.mu.Unlock()
	c.lines.wanted++
	return sync.OnceFunc(func() {
		c.lines.mu.Lock()
		defer c.lines.mu.Unlock()
		if c.lines.wanted--; c.lines.wanted == 0 {
			c.lines.hangUp()
		}
	})
}

// send makes one Send call: over a stream if there is to be one, else by itself.
// When the stream fails the outcome is unknown, and the same bytes go out again.
func (c *Client) send(ctx context.Context, request *posthornv1.SendRequest) (*posthornv1.SendResponse, error) {
	if line := c.openLine(ctx); line != nil {
		answer, err := line.send(ctx, request)
		switch {
		case err == nil && answer.GetRefused() != nil:
			return nil, failure(ctx, refusalOf(answer.GetRefused()))
		case err == nil && answer.GetSent() != nil:
			return answer.GetSent(), nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		c.dropLine(line)
	}
	return authorized(ctx, c, c.mailbox.Send, request)
}

// openLine is the stream to send on, or nil to send without one.
func (c *Client) openLine(ctx context.Context) *sendLine {
	l := &c.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.possible || l.wanted == 0 || time.Now().Before(l.shun) {
		return nil
	}
	carrying, token, err := c.bearer(ctx)
	if err != nil {
		return nil
	}
	if l.line != nil && (l.line.token != token || l.line.over()) {
		l.hangUp()
	}
	if l.line == nil {
		l.line = newSendLine(context.WithoutCancel(carrying), c.mailbox, token)
	}
	return l.line
}

// dropLine ends a stream that has failed. One that never answered anything is
// not tried again for a while.
func (c *Client) dropLine(failed *sendLine) {
	c.lines.mu.Lock()
	defer c.lines.mu.Unlock()
	if c.lines.line == failed {
		c.lines.hangUp()
	}
	if failed.unheard() {
		c.lines.shun = time.Now().Add(shunned)
	}
}

// hangUp ends the stream, if there is one. The caller holds mu.
func (l *sendLines) hangUp() {
	if l.line != nil {
		l.line.cancel()
		<-l.line.ended
		l.line = nil
	}
}

// sendLine is one open send stream.
type sendLine struct {
	token  string
	stream posthornv1connect.MailboxServiceSendStreamClientStream
	cancel context.CancelFunc
	ended  chan struct{} // closed when no more answers come
	idle   *time.Timer

	sending sync.Mutex // held while a request is written
	mu      sync.Mutex
	number  uint64
	asked   map[uint64]chan *posthornv1.SendAnswer
	heard   bool // it has answered something
}

// newSendLine opens a stream whose context carries a token. It ends by itself
// when nothing is sent on it.
func newSendLine(ctx context.Context, mailbox posthornv1connect.MailboxServiceClient, token string) *sendLine {
	ctx, cancel := context.WithCancel(ctx)
	l := &sendLine{token: token, cancel: cancel, ended: make(chan struct{}), asked: map[uint64]chan *posthornv1.SendAnswer{}}
	l.idle = time.AfterFunc(lineIdle, cancel)
	stream, err := mailbox.SendStream(ctx)
	if err == nil {
		l.stream, err = stream, stream.SendHeaders()
	}
	if err != nil {
		cancel()
		close(l.ended)
		return l
	}
	go l.listen()
	return l
}

// over reports whether the stream has ended.
func (l *sendLine) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

func (l *sendLine) unheard() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.heard
}

// errLineOver: the stream ended before it answered.
var errLineOver = errors.New("transport: the send stream has ended")

// send asks one request and waits for its answer.
func (l *sendLine) send(ctx context.Context, request *posthornv1.SendRequest) (*posthornv1.SendAnswer, error) {
	patience := callTimeout
	if l.unheard() {
		patience = firstAnswer
	}
	watchdog := time.AfterFunc(patience, l.cancel)
	defer watchdog.Stop()
	l.idle.Stop()
	defer l.idle.Reset(lineIdle)
	answer, err := l.ask(request)
	if err != nil {
		return nil, err
	}
	select {
	case a := <-answer:
		return a, nil
	case <-l.ended:
		return nil, errLineOver
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask writes a request and returns where its answer will be.
func (l *sendLine) ask(request *posthornv1.SendRequest) (<-chan *posthornv1.SendAnswer, error) {
	l.sending.Lock()
	defer l.sending.Unlock()
	if l.over() {
		return nil, errLineOver
	}
	answer := make(chan *posthornv1.SendAnswer, 1)
	l.mu.Lock()
	l.number++
	number := l.number
	l.asked[number] = answer
	l.mu.Unlock()
	return answer, l.stream.Send(&posthornv1.SendStreamRequest{Number: number, Send: request})
}

// listen hands out answers until the stream ends.
func (l *sendLine) listen() {
	defer close(l.ended)
	defer l.stream.Close() //nolint:errcheck // the stream is over either way
	defer l.cancel()
	for {
		response, err := l.stream.Receive()
		if err != nil {
			return
		}
		for _, a := range response.GetAnswers() {
			if l.hand(a) != nil {
				return
			}
		}
	}
}

// hand gives an answer to whoever waits for it.
func (l *sendLine) hand(a *posthornv1.SendAnswer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	answer, ok := l.asked[a.GetNumber()]
	if !ok {
		return reject.New("V-271", ErrServer, "an answer to no request of the stream")
	}
	delete(l.asked, a.GetNumber())
	l.heard = true
	answer <- a
	return nil
}

// refusalOf is the error that a call of its own would have failed with.
func refusalOf(r *posthornv1.Refusal) error {
	var code connect.Code
	if code.UnmarshalText([]byte(r.GetCode())) != nil {
		code = connect.CodeUnknown
	}
	failed := connect.NewError(code, r.GetText()).WithRemote()
	if detail, err := connectproto.NewErrorDetail(r.GetDetail()); err == nil && r.GetDetail() != nil {
		failed = failed.WithDetail(detail)
	}
	return failed
}
