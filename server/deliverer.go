package server

import (
	"context"
	"net/http"
	"time"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store"
)

const (
	// batchEnvelopes and batchBytes bound what one stream holds in memory.
	batchEnvelopes = 256
	batchBytes     = 512 << 10
)

// deliverer is one delivery stream's place in its mailbox. It always reads from
// the store, so a slow device costs one batch of memory and loses nothing.
type deliverer struct {
	service    *mailboxService
	ctx        context.Context
	box        store.Box
	send       func(*posthornv1.ReceiveResponse) error
	connection *http.ResponseController

	after    uint64 // the last sequence number sent
	backlog  uint64 // the head when the stream began
	caughtUp bool
	expired  uint64 // told with the first response
	progress *progress
}

// begin looks up what the device has missed. The request is in, so from here on
// the device may stay silent.
func (d *deliverer) begin() (err error) {
	_ = d.connection.SetReadDeadline(time.Time{})
	if d.expired, err = d.service.store.Expired(d.ctx, d.box); err != nil {
		return storageFailed(err)
	}
	waiting, head, err := d.service.store.Read(d.ctx, d.box, 0, 1, 1)
	if err != nil {
		return storageFailed(err)
	}
	acked := head
	if len(waiting) > 0 {
		acked = waiting[0].Seq - 1
	}
	d.backlog, d.progress = head, d.service.ledger.begin(d.box, acked)
	d.service.metrics.Stream(1)
	return nil
}

// end undoes begin.
func (d *deliverer) end() {
	d.service.ledger.end(d.box, d.progress)
	d.service.metrics.Stream(-1)
}

// deliver sends the next batch, and says once when the backlog is through. It
// reports whether more is stored already.
func (d *deliverer) deliver() (more bool, err error) {
	messages, head, err := d.service.store.Read(d.ctx, d.box, d.after, batchEnvelopes, batchBytes)
	if err != nil {
		return false, storageFailed(err)
	}
	response, err := d.response(messages)
	if err != nil {
		return false, storageFailed(err)
	}
	if len(messages) > 0 || response.CaughtUp || response.Expired > 0 {
		d.service.ledger.send(d.progress, d.after) // before the device can ack it
		if err := d.write(response); err != nil {
			return false, err
		}
		for _, m := range response.Deliveries {
			d.service.metrics.Delivered(len(m.Payload))
		}
	}
	return len(messages) > 0 && d.after < head, nil
}

// response packs a batch and moves the place behind it.
func (d *deliverer) response(messages []store.Msg) (*posthornv1.ReceiveResponse, error) {
	r := &posthornv1.ReceiveResponse{Expired: d.expired}
	for _, m := range messages {
		delivered, err := delivery(m)
		if err != nil {
			return nil, err
		}
		r.Deliveries = append(r.Deliveries, delivered)
		d.after = m.Seq
	}
	d.expired = 0
	if !d.caughtUp && (len(messages) == 0 || d.after >= d.backlog) {
		d.caughtUp, r.CaughtUp = true, true
	}
	return r, nil
}

// write sends one response and gives a device that does not read a bounded
// time to take it.
func (d *deliverer) write(r *posthornv1.ReceiveResponse) error {
	_ = d.connection.SetWriteDeadline(time.Now().Add(d.service.limits.StreamWrite))
	if err := d.send(r); err != nil {
		return err
	}
	_ = d.connection.SetWriteDeadline(time.Time{})
	return nil
}
