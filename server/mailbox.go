package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/server/metrics"
	"github.com/posthorn/posthorn/server/store"
)

// mailboxService moves envelopes between devices.
type mailboxService struct {
	directory *directory
	store     store.Store
	hub       *hub
	senders   *hub // send streams, which are told nothing but that they are replaced
	access    *access
	numbers   *numbering
	cluster   *cluster
	repairs   *rate.Limiter // reads of streams that nobody told to read
	bytes     *limiter      // payload bytes of each device
	limits    Limits
	calendar  *calendar
	stopping  <-chan struct{} // closed when streams must end
	ledger    *ledger
	metrics   *metrics.Metrics
}

// Send appends envelopes and answers for each. ACCEPTED means that it is on
// disk. A repeat of an accepted envelope is accepted again and stored once.
func (s *mailboxService) Send(ctx context.Context, request *posthornv1.SendRequest) (*posthornv1.SendResponse, error) {
	p, err := s.post(ctx, callerOf(ctx), request, clock.Now())
	if err != nil {
		return nil, err
	}
	return s.settle(ctx, p)
}

// posted is a Send that is checked and on its way into the store.
type posted struct {
	at        time.Time
	asked     []*posthornv1.Envelope
	answer    *posthornv1.SendResponse
	envelopes []store.Envelope // those that are to be stored
	places    []int            // of each of them in the answer
	pending   store.Pending
}

// post checks a request and puts what may be stored in line. What it returns
// has to be settled.
func (s *mailboxService) post(ctx context.Context, who caller, request *posthornv1.SendRequest, now time.Time) (*posted, error) {
	p := &posted{at: now, asked: request.GetEnvelopes()}
	if len(p.asked) > api.MaxEnvelopes {
		return nil, badRequest(reject.New("V-86", ErrRequest, "envelopes"), "a request carries at most 64 envelopes; none was stored")
	}
	stale, err := s.directory.stale(ctx, request.GetClaims(), now)
	if err != nil {
		return nil, err
	}
	p.answer = &posthornv1.SendResponse{Statuses: make([]posthornv1.SendStatus, len(p.asked))}
	size := 0
	for i, e := range p.asked {
		if stale[string(e.GetAccountId())] {
			p.answer.Statuses[i] = posthornv1.SendStatus_SEND_STATUS_STALE_ROSTER
			continue
		}
		envelope, status, err := s.address(ctx, who, e, now)
		if err != nil {
			return nil, err
		}
		p.answer.Statuses[i] = status
		if status == posthornv1.SendStatus_SEND_STATUS_ACCEPTED {
			p.envelopes, p.places = append(p.envelopes, envelope), append(p.places, i)
			size += len(e.GetPayload())
		}
	}
	if err := s.bytes.take(who.key(), size, now); err != nil {
		return nil, err
	}
	if p.pending, err = s.store.Submit(ctx, p.envelopes); err != nil {
		return nil, storageFailed(err)
	}
	return p, nil
}

// settle waits until what was posted is durable, tells those it is for, and
// answers.
func (s *mailboxService) settle(ctx context.Context, p *posted) (*posthornv1.SendResponse, error) {
	appended, err := p.pending.Wait(ctx)
	if err != nil {
		return nil, storageFailed(err)
	}
	for i, result := range appended {
		p.answer.Statuses[p.places[i]] = statusOf(result.Err)
		if result.Err == nil {
			s.metrics.Appended(len(p.asked[p.places[i]].GetPayload()))
			s.cluster.announce(ctx, p.envelopes[i], result, p.at)
		}
	}
	return p.answer, nil
}

// address checks one envelope and finds its mailbox. The status is ACCEPTED
// when it may be appended.
func (s *mailboxService) address(ctx context.Context, who caller, e *posthornv1.Envelope, now time.Time) (out store.Envelope, status posthornv1.SendStatus, err error) {
	var id account.ID
	var device account.DeviceID
	ok := copyExactly(out.ID[:], e.GetId()) && copyExactly(id[:], e.GetAccountId()) && copyExactly(device[:], e.GetDeviceId())
	if !ok || len(e.GetPayload()) == 0 || len(e.GetPayload()) > s.limits.Envelope {
		return out, 0, badRequest(reject.New("V-85", ErrRequest, "envelope"), "an id has the wrong length, or the payload is empty or larger than this server takes; nothing was stored")
	}
	found, err := s.directory.address(ctx, id, device, now)
	if errors.Is(err, store.ErrNotFound) {
		return out, posthornv1.SendStatus_SEND_STATUS_UNKNOWN_DEVICE, nil
	}
	if err != nil {
		return out, 0, storageFailed(err)
	}
	if now.Sub(found.lastSeen) > s.limits.Retention+s.calendar.grace()+24*time.Hour {
		return out, posthornv1.SendStatus_SEND_STATUS_GONE, nil
	}
	out.Box, out.At = found.box, now
	sum := sha256.Sum256(who.account[:])
	copy(out.Sender[:], sum[:])
	out.Data = appendOrigin(who, e.GetPayload())
	return out, posthornv1.SendStatus_SEND_STATUS_ACCEPTED, nil
}

func statusOf(err error) posthornv1.SendStatus {
	switch {
	case err == nil:
		return posthornv1.SendStatus_SEND_STATUS_ACCEPTED
	case errors.Is(err, store.ErrFull):
		return posthornv1.SendStatus_SEND_STATUS_MAILBOX_FULL
	default:
		return posthornv1.SendStatus_SEND_STATUS_GONE
	}
}

// appendOrigin puts the authenticated sender in front of a payload.
func appendOrigin(who caller, payload []byte) []byte {
	b := make([]byte, 0, len(who.account)+len(who.device)+len(payload))
	b = append(b, who.account[:]...)
	b = append(b, who.device[:]...)
	return append(b, payload...)
}

// delivery is the reverse of appendOrigin.
func delivery(m store.Msg) (*posthornv1.Delivery, error) {
	const accountSize, originSize = len(account.ID{}), len(account.ID{}) + len(account.DeviceID{})
	if len(m.Data) < originSize {
		return nil, errRecord
	}
	return &posthornv1.Delivery{
		Seq: m.Seq, Id: m.ID[:], AcceptedAt: uint64(m.At.UnixMilli()),
		SenderAccount: m.Data[:accountSize], SenderDevice: m.Data[accountSize:originSize], Payload: m.Data[originSize:],
	}, nil
}

// Ack releases everything up to a sequence number, and stops telling the device
// of expired envelopes that it has noted.
func (s *mailboxService) Ack(ctx context.Context, request *posthornv1.AckRequest) (*posthornv1.AckResponse, error) {
	box := callerOf(ctx).box
	seq, err := s.numbers.inward(ctx, request.GetSeq())
	if err != nil {
		return nil, storageFailed(err)
	}
	if err := s.store.Ack(ctx, []store.BoxSeq{{Box: box, Seq: seq}}); err != nil {
		return nil, storageFailed(err)
	}
	s.metrics.Acked(s.ledger.ack(box, seq))
	if noted := request.GetExpired(); noted > 0 {
		if err := s.store.ClearExpired(ctx, box, noted); err != nil {
			return nil, storageFailed(err)
		}
	}
	return &posthornv1.AckResponse{}, nil
}
