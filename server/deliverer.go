package server

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store"
)

const (
	// batchEnvelopes and batchBytes bound what one stream holds in memory.
	batchEnvelopes = 256
	batchBytes     = 512 << 10
	// firstRepair is the part of the longest pause between two repairs that the
	// first one takes; each repair that finds nothing doubles it.
	firstRepair = 32
)

// deliverer is one delivery stream's place in its mailbox. What it has been
// told, it sends on if that is the very next envelope; whatever else happened,
// it reads the store. So a slow device costs one batch of memory, a message
// between nodes that is lost costs a read, and neither makes a gap.
type deliverer struct {
	service    *mailboxService
	ctx        context.Context
	box        store.Box
	listener   *listener
	send       func(*posthornv1.ReceiveResponse) error
	connection *http.ResponseController

	after    uint64 // the last sequence number sent
	backlog  uint64 // the head when the stream began
	caughtUp bool
	expired  uint64 // told with the first response
	progress *progress
	read     bool // the store has to be asked next

	repair   *time.Timer   // when to ask the store although nobody told of anything
	patience time.Duration // until the next repair
	granted  bool          // repair waits for its turn among all streams of the node
	looking  bool          // the next read is a repair

	attaching chan error // says what became of noting this stream's presence; nil: it is settled
	attached  bool
}

func newDeliverer(ctx context.Context, s *mailboxService, box store.Box, l *listener) *deliverer {
	d := &deliverer{service: s, ctx: ctx, box: box, listener: l, read: true}
	d.calm()
	d.repair = time.NewTimer(d.patience)
	return d
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

// deliver sends what comes next, and says once when the backlog is through. It
// reports whether more is stored already.
func (d *deliverer) deliver() (more bool, err error) {
	n := d.service.hub.take(d.listener)
	if n.alarm {
		d.hasten()
	}
	if d.read || n.behind {
		return d.fromStore()
	}
	run, whole := following(d.after, n.queue)
	if !whole {
		return d.fromStore()
	}
	if len(run) == 0 {
		return false, nil
	}
	d.calm()
	return false, d.pass(run)
}

// following is the part of a queue that goes on from a number, in order. It is
// whole when nothing is missing in front of it or inside.
func following(after uint64, queue []store.Msg) (run []store.Msg, whole bool) {
	slices.SortFunc(queue, func(a, b store.Msg) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, m := range queue {
		switch {
		case m.Seq <= after:
		case m.Seq == after+1:
			run, after = append(run, m), m.Seq
		default:
			return nil, false
		}
	}
	return run, true
}

// fromStore sends the next batch that is stored.
func (d *deliverer) fromStore() (more bool, err error) {
	messages, head, err := d.service.store.Read(d.ctx, d.box, d.after, batchEnvelopes, batchBytes)
	if err != nil {
		return false, storageFailed(err)
	}
	d.mend(len(messages) > 0)
	if err := d.pass(messages); err != nil {
		return false, err
	}
	d.read = len(messages) > 0 && d.after < head
	return d.read, nil
}

// mend draws the lesson from a repair: when it found something that nobody had
// told of, the presence of this stream may have been lost, so it is noted anew.
func (d *deliverer) mend(found bool) {
	repaired := d.looking
	d.looking = false
	if !found {
		return
	}
	d.calm()
	if repaired {
		d.noteAgain()
	}
}

// attachPatience is how long a stream waits for its presence to be noted before
// it begins all the same.
const attachPatience = 250 * time.Millisecond

// attach has the presence of this stream noted. That may take as long as a
// database takes to confirm what it has before: the stream does not wait for
// it, but gives what is stored, and looks for more until it is told of it.
func (d *deliverer) attach() error {
	d.noteAgain()
	late := time.NewTimer(attachPatience)
	defer late.Stop()
	select {
	case err := <-d.attaching:
		return d.settle(err)
	case <-late.C:
		return nil
	}
}

// noteAgain begins to note the presence, unless that is under way.
func (d *deliverer) noteAgain() {
	if d.attaching != nil {
		return
	}
	done := make(chan error, 1)
	d.attaching = done
	go func() { done <- d.service.cluster.attach(d.ctx, d.box, d.listener.began) }()
}

// settle draws the lesson from what became of attach. What was stored before
// it was through may have been told to nobody, so the store is read.
func (d *deliverer) settle(err error) error {
	d.attaching, d.attached, d.read = nil, err == nil, true
	if errors.Is(err, store.ErrGone) || errors.Is(err, store.ErrNoBox) {
		return storageFailed(err)
	}
	return nil
}

// pass sends envelopes, if there are any or if something else is to be told.
func (d *deliverer) pass(messages []store.Msg) error {
	response, err := d.response(messages)
	if err != nil {
		return storageFailed(err)
	}
	if len(messages) == 0 && !response.CaughtUp && response.Expired == 0 {
		return nil
	}
	d.service.ledger.send(d.progress, d.after) // before the device can ack it
	if err := d.write(response); err != nil {
		return err
	}
	for _, m := range response.Deliveries {
		d.service.metrics.Delivered(len(m.Payload))
	}
	return nil
}

// response packs a batch and moves the place behind it.
func (d *deliverer) response(messages []store.Msg) (*posthornv1.ReceiveResponse, error) {
	r := &posthornv1.ReceiveResponse{Expired: d.expired}
	for _, m := range messages {
		delivered, err := delivery(m)
		if err != nil {
			return nil, err
		}
		if delivered.Seq, err = d.service.numbers.outward(d.ctx, m.Seq); err != nil {
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
	who := callerOf(d.ctx)
	r.BundleFetches = d.service.directory.fetches.unusual(newDeviceName(who.account, who.device))
	_ = d.connection.SetWriteDeadline(time.Now().Add(d.service.limits.StreamWrite))
	if err := d.send(r); err != nil {
		return err
	}
	_ = d.connection.SetWriteDeadline(time.Time{})
	return nil
}

// calm starts the pauses between repairs from the shortest: where something
// just came, more may have been on its way. A node on its own is told of all.
func (d *deliverer) calm() {
	d.patience = d.service.limits.Repair
	if !d.service.cluster.alone {
		d.patience /= firstRepair
	}
}

// rest sets the time of the next repair, give or take a quarter, so that the
// streams of a node do not ask all at once.
func (d *deliverer) rest() {
	if d.granted {
		return
	}
	pause := d.patience
	if !d.attached || !d.service.cluster.healthy() {
		pause = min(pause, d.service.limits.RepairNoBus)
	}
	d.repair.Reset(pause - time.Duration(rand.Int64N(int64(pause)/4+1)))
}

// hasten makes the next repair due as soon as it is this stream's turn.
func (d *deliverer) hasten() {
	if d.granted {
		return
	}
	d.granted = true
	d.repair.Reset(d.service.repairs.Reserve().Delay())
}

// mayRepair is asked when a repair is due. It makes the next deliver ask the
// store, or waits for this stream's turn.
func (d *deliverer) mayRepair() bool {
	if !d.granted {
		if wait := d.service.repairs.Reserve().Delay(); wait > 0 {
			d.granted = true
			d.repair.Reset(wait)
			return false
		}
	}
	d.granted, d.looking, d.read = false, true, true
	if !d.attached {
		d.noteAgain()
	}
	d.patience = min(2*d.patience, d.service.limits.Repair)
	return true
}
