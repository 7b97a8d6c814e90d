package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
)

// sendUnit is what one place of a send stream's window holds, in bytes: a
// larger request takes more places.
const sendUnit = 16 << 10

// sendStream is one call of SendStream. Its reader checks requests and puts
// them in the store's line, in their order; its writer waits for the oldest and
// answers it together with all behind it that are ready too, so that one commit
// that made many durable is one answer. What is read and not answered is
// bounded by the window; then nothing more is read.
type sendStream struct {
	service    *mailboxService
	ctx        context.Context
	who        caller
	stream     posthornv1connect.MailboxServiceSendStreamServerStream
	connection *http.ResponseController

	window  chan struct{}     // a place for each sendUnit that is not answered
	waiting chan *sendAttempt // in their order
	over    chan struct{}     // closed when nothing more is answered

	mu  sync.Mutex // held while a request is taken on
	cut bool       // no further request is
	end error      // why the reader ended; valid once waiting is closed
}

// sendAttempt is one request on a stream.
type sendAttempt struct {
	number uint64
	began  time.Time
	places int     // in the window
	posted *posted // nil: refused
	err    error
}

// SendStream answers every request on a stream as Send would, until the device
// leaves, a newer stream replaces this one, its token ends, or the server stops.
// What was taken on by then is answered.
func (s *mailboxService) SendStream(ctx context.Context, stream posthornv1connect.MailboxServiceSendStreamServerStream) error {
	who := callerOf(ctx)
	l := s.senders.listen(who.box, clock.Now())
	defer s.senders.leave(who.box, l)
	f := &sendStream{
		service: s, ctx: ctx, who: who, stream: stream, connection: requestOf(ctx).control,
		window: make(chan struct{}, api.SendWindow), waiting: make(chan *sendAttempt, api.SendWindow), over: make(chan struct{}),
	}
	_ = f.connection.SetReadDeadline(time.Time{})
	if err := stream.Send(&posthornv1.SendStreamResponse{}); err != nil { // the device knows that it is through
		return err
	}
	go f.read()
	err := f.answer(l)
	close(f.over)
	_ = f.connection.SetReadDeadline(time.Now()) // the reader has nothing to read for any more
	for range f.waiting {
	}
	return err
}

// read takes requests on until one cannot be, or the device has no more.
func (f *sendStream) read() {
	defer close(f.waiting)
	defer func() {
		if panicked := recover(); panicked != nil {
			f.end = f.service.access.finish(posthornv1connect.MailboxServiceSendStreamProcedure, nil, panicked)
		}
	}()
	for number := uint64(1); f.end == nil; number++ {
		request, err := f.stream.Receive()
		if err == nil && request.GetNumber() != number {
			err = badRequest(reject.New("V-270", ErrRequest, "number"), "the requests of a stream are numbered 1, 2, 3 and so on; this one was not carried out")
		}
		if err == nil {
			err = f.take(request)
		}
		f.end = err
	}
	if errors.Is(f.end, io.EOF) {
		f.end = nil
	}
}

// errCut ends a reader whose stream ends for another reason.
var errCut = errors.New("server: the stream takes no more requests")

// take takes one request on. Its error ends the stream; what Send would refuse,
// the attempt has.
func (f *sendStream) take(request *posthornv1.SendStreamRequest) error {
	a := &sendAttempt{number: request.GetNumber(), began: time.Now(), places: placesOf(request.GetSend())}
	for range a.places {
		select {
		case f.window <- struct{}{}:
		case <-f.over:
			return errCut
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut {
		return errCut
	}
	if _, a.err = f.service.access.admit(f.ctx, posthornv1connect.MailboxServiceSendProcedure); a.err == nil {
		a.posted, a.err = f.service.post(f.ctx, f.who, request.GetSend(), clock.Now())
	}
	if connect.CodeOf(a.err) == connect.CodeUnauthenticated {
		return a.err
	}
	f.waiting <- a
	return nil
}

// placesOf is how much of the window a request takes.
func placesOf(request *posthornv1.SendRequest) int {
	size := 0
	for _, e := range request.GetEnvelopes() {
		size += len(e.GetPayload())
	}
	return min(1+size/sendUnit, api.SendWindow)
}

// answer settles requests until the stream ends, and says why it does.
func (f *sendStream) answer(l *listener) error {
	slow := time.AfterFunc(time.Hour, func() { _ = f.connection.SetWriteDeadline(time.Now()) })
	defer slow.Stop()
	slow.Stop()
	var next *sendAttempt
	for {
		var why error
		if next == nil {
			if next, why = f.await(l); next == nil {
				return why
			}
		}
		var answers *posthornv1.SendStreamResponse
		var places int
		answers, places, next = f.gather(next)
		slow.Reset(f.service.limits.StreamWrite)
		if err := f.stream.Send(answers); err != nil {
			f.abandon(next)
			return err
		}
		slow.Stop()
		for range places {
			<-f.window
		}
	}
}

// await is the next request to answer, or why there will be none. When the
// stream has to end, those that were taken on come first.
func (f *sendStream) await(l *listener) (*sendAttempt, error) {
	select {
	case a, more := <-f.waiting:
		if !more {
			return nil, f.end
		}
		return a, nil
	case <-l.replaced:
	case <-f.service.stopping:
	case <-f.ctx.Done():
	}
	f.mu.Lock()
	f.cut = true
	f.mu.Unlock()
	select {
	case a, more := <-f.waiting:
		if more {
			return a, nil
		}
	default:
	}
	return nil, f.service.ended(f.ctx, l)
}

// gather settles a request and all behind it that are ready, and returns the
// next one that is not.
func (f *sendStream) gather(a *sendAttempt) (r *posthornv1.SendStreamResponse, places int, next *sendAttempt) {
	r = &posthornv1.SendStreamResponse{}
	for {
		r.Answers = append(r.Answers, f.settle(a))
		places += a.places
		select {
		case next, more := <-f.waiting:
			if !more {
				return r, places, nil
			}
			if next.posted != nil && !next.posted.pending.Ready() {
				return r, places, next
			}
			a = next
		default:
			return r, places, nil
		}
	}
}

// settle waits for what became of a request, no longer than a call may take.
func (f *sendStream) settle(a *sendAttempt) *posthornv1.SendAnswer {
	out := &posthornv1.SendAnswer{Number: a.number}
	if a.posted != nil {
		ctx, cancel := f.ctx, func() {}
		if !a.posted.pending.Ready() {
			ctx, cancel = context.WithDeadline(ctx, time.Now().Add(f.service.limits.CallTime))
		}
		var sent *posthornv1.SendResponse
		sent, a.err = f.service.settle(ctx, a.posted)
		cancel()
		out.Outcome = &posthornv1.SendAnswer_Sent{Sent: sent}
	}
	const procedure = posthornv1connect.MailboxServiceSendProcedure
	a.err = f.service.access.finish(procedure, a.err, nil)
	if a.err != nil {
		out.Outcome = &posthornv1.SendAnswer_Refused{Refused: refusalOf(a.err)}
	}
	f.service.access.count(procedure, a.err, time.Since(a.began))
	return out
}

// abandon settles what was taken on when nobody hears the answers.
func (f *sendStream) abandon(next *sendAttempt) {
	f.mu.Lock()
	f.cut = true
	f.mu.Unlock()
	for next != nil {
		f.settle(next)
		select {
		case next = <-f.waiting:
		default:
			next = nil
		}
	}
}

// refusalOf is the error of a call as one answer among others.
func refusalOf(err error) *posthornv1.Refusal {
	out := &posthornv1.Refusal{Code: connect.CodeOf(err).String()}
	failed, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return out
	}
	out.Text = failed.Message()
	for _, detail := range failed.Details() {
		if message, err := connectproto.UnmarshalErrorDetail(detail); err == nil {
			out.Detail, _ = message.(*posthornv1.ErrorDetail)
		}
	}
	return out
}
