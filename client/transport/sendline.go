package transport

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/proto"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	// lineIdle is how long a send stream stays open that nothing is sent on.
	lineIdle = 30 * time.Second
	// openTime is how long one may take to open. The library does not notice that
	// a kept connection is dead while it waits for something to send on it.
	openTime = 5 * time.Second
	// shunned is how long no send stream is tried after one that did not open:
	// an older server has none, and a proxy may hold back what is not whole.
	shunned = time.Minute
	// maxLineAnswer is the greatest message read from a send stream, in bytes.
	maxLineAnswer = 1 << 20
)

// sendLines are the send streams of a client, one at a time. They exist only
// while somebody asks for them: a single message is sent sooner without.
type sendLines struct {
	http *http.Client
	url  string // of the procedure

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

// send makes one Send call: over the stream if there is one, else by itself.
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
		line.cancel()
	}
	return authorized(ctx, c, c.mailbox.Send, request)
}

// openLine is the stream to send on, or nil to send without one: it may not be
// wanted, not work here, or not be open yet. Nobody waits for one to open.
func (c *Client) openLine(ctx context.Context) *sendLine {
	l := &c.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wanted == 0 || time.Now().Before(l.shun) {
		return nil
	}
	_, token, err := c.bearer(ctx)
	if err != nil {
		return nil
	}
	if l.line != nil && (l.line.token != token || l.line.over()) {
		if l.line.unknown.Load() {
			l.shun = time.Now().Add(shunned)
		}
		l.hangUp()
	}
	if l.line == nil {
		l.line = dialLine(l.http, l.url, token)
	}
	if !l.line.open() {
		return nil
	}
	return l.line
}

// hangUp ends the stream, if there is one. The caller holds mu.
func (l *sendLines) hangUp() {
	if l.line != nil {
		l.line.cancel()
		<-l.line.ended
		l.line = nil
	}
}

// sendLine is one send stream, in the framing of Connect: a byte of flags, a
// length, a message. It is written here because the library knows streams both
// ways of HTTP/2 alone, and does not tell when one is open.
type sendLine struct {
	token  string
	out    *io.PipeWriter
	cancel context.CancelFunc
	opened chan struct{} // closed when the server has taken the call
	ended  chan struct{} // closed when no more answers come
	idle   *time.Timer

	unknown atomic.Bool // whoever answered knows no such stream

	sending sync.Mutex // held while a request is written
	mu      sync.Mutex
	number  uint64
	asked   map[uint64]chan *posthornv1.SendAnswer
}

// dialLine begins to open a stream. It ends by itself when nothing is sent on it.
func dialLine(network *http.Client, url, token string) *sendLine {
	ctx, cancel := context.WithCancel(context.Background())
	body, out := io.Pipe()
	l := &sendLine{
		token: token, out: out, cancel: cancel, opened: make(chan struct{}), ended: make(chan struct{}),
		asked: map[uint64]chan *posthornv1.SendAnswer{},
	}
	l.idle = time.AfterFunc(lineIdle, cancel)
	context.AfterFunc(ctx, func() { _ = out.CloseWithError(errLineOver) }) // the library waits for whoever reads it
	go l.run(ctx, network, url, body)
	return l
}

// run is the stream from its beginning to its end.
func (l *sendLine) run(ctx context.Context, network *http.Client, url string, body io.ReadCloser) {
	defer close(l.ended)
	defer l.cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return
	}
	request.Header.Set("Content-Type", "application/connect+proto")
	request.Header.Set("Connect-Protocol-Version", "1")
	request.Header.Set("Authorization", "Bearer "+l.token)
	late := time.AfterFunc(openTime, func() {
		if !l.open() {
			l.cancel()
		}
	})
	defer late.Stop()
	answer, err := network.Do(request)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK { // what a server says that knows the call comes on the stream
		l.unknown.Store(unknownCall(answer.StatusCode))
		return
	}
	_ = l.listen(bufio.NewReader(answer.Body))
}

// unknownCall tells a server or proxy that knows no such call from one that is
// in trouble and may know it later.
func unknownCall(status int) bool {
	return status/100 == 4 || status == http.StatusNotImplemented || status == http.StatusHTTPVersionNotSupported
}

// open reports whether the server has taken the call.
func (l *sendLine) open() bool {
	select {
	case <-l.opened:
		return true
	default:
		return false
	}
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

// errLineOver: the stream ended before it answered.
var errLineOver = errors.New("transport: the send stream has ended")

// send asks one request and waits for its answer.
func (l *sendLine) send(ctx context.Context, request *posthornv1.SendRequest) (*posthornv1.SendAnswer, error) {
	watchdog := time.AfterFunc(callTimeout, l.cancel)
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
	answer := make(chan *posthornv1.SendAnswer, 1)
	l.mu.Lock()
	l.number++
	number := l.number
	l.asked[number] = answer
	l.mu.Unlock()
	message, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, lineHead), &posthornv1.SendStreamRequest{Number: number, Send: request})
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(message[1:], uint32(len(message)-lineHead))
	_, err = l.out.Write(message)
	return answer, err
}

// lineHead is the size of what stands before each message.
const lineHead = 5

// listen hands out answers until the stream ends.
func (l *sendLine) listen(in io.Reader) error {
	for {
		var head [lineHead]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		size := binary.BigEndian.Uint32(head[1:])
		if head[0] != 0 || size > maxLineAnswer { // the last message says why the stream ends; a call of its own will hear the same
			return errLineOver
		}
		message := make([]byte, size)
		if _, err := io.ReadFull(in, message); err != nil {
			return err
		}
		var response posthornv1.SendStreamResponse
		if err := proto.Unmarshal(message, &response); err != nil {
			return err
		}
		if !l.open() {
			close(l.opened)
		}
		for _, a := range response.GetAnswers() {
			if err := l.hand(a); err != nil {
				return err
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

// lineURL is where send streams of a server are opened.
func lineURL(address string) string {
	return address + posthornv1connect.MailboxServiceSendStreamProcedure
}
