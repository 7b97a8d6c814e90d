package server

import (
	"context"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/server/store"
)

// repairsPerSecond bounds the reads of all streams of a node that look for
// themselves. Beyond 8,000 open streams it makes repair slower instead of
// burying the store.
const repairsPerSecond = 2000

// Receive streams the calling device's mailbox until the device leaves, a
// newer stream replaces this one, or the server stops.
func (s *mailboxService) Receive(ctx context.Context, _ *posthornv1.ReceiveRequest, stream posthornv1connect.MailboxServiceReceiveServerStream) error {
	box := callerOf(ctx).box
	l := s.hub.listen(box, clock.Now())
	defer s.leave(ctx, box, l)
	d := newDeliverer(ctx, s, box, l)
	d.send, d.connection = stream.Send, requestOf(ctx).control
	defer d.repair.Stop()
	if err := d.attach(); err != nil {
		return err
	}
	if err := d.begin(); err != nil {
		return err
	}
	defer d.end()
	keepAlive := time.NewTicker(s.limits.KeepAlive)
	defer keepAlive.Stop()
	for {
		more, err := d.deliver()
		if err == nil {
			err = s.ended(ctx, l)
		}
		if err == nil && !more {
			err = s.await(d, keepAlive.C)
		}
		if err != nil {
			return err
		}
	}
}

// ended says why a stream has to end, if it has to.
func (s *mailboxService) ended(ctx context.Context, l *listener) error {
	select {
	case <-l.replaced:
		return refusal{
			code: connect.CodeAborted, reason: api.ReasonReplaced, text: "another stream of this device took over",
			hint: "keep one connection for a device",
		}.err(nil)
	case <-s.stopping:
		return refusal{
			code: connect.CodeUnavailable, reason: api.ReasonStopping, text: "the server is stopping",
			hint: "connect again in a moment", retry: time.Second,
		}.err(nil)
	case <-ctx.Done():
		return ctx.Err()
	default:
		return nil
	}
}

// await returns when there is, or may be, something to deliver. Its error ends
// the stream.
func (s *mailboxService) await(d *deliverer, keepAlive <-chan time.Time) error {
	d.rest()
	for {
		select {
		case <-d.listener.wake:
			return nil
		case err := <-d.attaching:
			return d.settle(err)
		case <-d.repair.C:
			if d.mayRepair() {
				return nil
			}
		case <-keepAlive:
			if err := d.write(&posthornv1.ReceiveResponse{}); err != nil {
				return err
			}
		case <-d.listener.replaced:
			return s.ended(d.ctx, d.listener)
		case <-s.stopping:
			return s.ended(d.ctx, d.listener)
		case <-d.ctx.Done():
			return d.ctx.Err()
		}
	}
}

// leave ends a stream's presence, unless a newer stream has taken its place.
func (s *mailboxService) leave(ctx context.Context, box store.Box, l *listener) {
	if s.hub.leave(box, l) {
		_ = s.store.Detach(context.WithoutCancel(ctx), box, s.cluster.id) // presence is a hint
	}
}
