package transport

import (
	"context"
	"errors"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// silence is how long a stream may say nothing before it counts as broken: two
// keep-alives may be lost.
const silence = 5 * api.KeepAlive / 2

// Outcome is what became of one envelope.
type Outcome int

// The outcomes of SPEC §14.4. Only Accepted ends the duty to resend.
const (
	Undecided     Outcome = iota // the server did not say; send the same bytes again
	Accepted                     // durable on the server
	UnknownDevice                // no such account or device
	MailboxFull                  // the mailbox, or this sender's share of it
	Gone                         // the device has not fetched for the retention time
	Stale                        // the account's devices are others than the claim says
)

// Claim is the number of the newest statement that is known of an account.
type Claim struct {
	Account account.ID
	Seq     uint64
}

// Envelope is one sealed message for one device. A retry uses the same ID and
// the same bytes.
type Envelope struct {
	ID      [16]byte
	Account account.ID
	Device  account.DeviceID
	Payload []byte
}

// Delivery is an envelope as it arrives. The server vouches for the sender
// with its authentication, no more; the payload must prove it.
type Delivery struct {
	Seq           uint64
	ID            [16]byte
	SenderAccount account.ID
	SenderDevice  account.DeviceID
	Payload       []byte
	AcceptedAt    uint64 // Unix ms, by the server's clock
}

// Batch is one step of a stream.
type Batch struct {
	Deliveries []Delivery
	CaughtUp   bool   // everything stored when the stream began has been seen
	Expired    uint64 // envelopes that aged out unread and are not noted yet
	Fetches    uint64 // how often this device's bundle was asked for within an hour, once that is unusual
}

// Send appends envelopes to their mailboxes and says what became of each, in
// order. After ErrOffline the outcome of all is unknown. Where an account has a
// newer statement than a claim says, its envelopes are Stale and none is stored.
func (c *Client) Send(ctx context.Context, envelopes []Envelope, claims ...Claim) ([]Outcome, error) {
	request := &posthornv1.SendRequest{}
	for _, claim := range claims {
		request.Claims = append(request.Claims, &posthornv1.RosterClaim{AccountId: claim.Account[:], Seq: claim.Seq})
	}
	for _, e := range envelopes {
		request.Envelopes = append(request.Envelopes, &posthornv1.Envelope{
			Id: e.ID[:], AccountId: e.Account[:], DeviceId: e.Device[:], Payload: e.Payload,
		})
	}
	answer, err := c.send(ctx, request)
	if err != nil {
		return nil, err
	}
	if len(answer.GetStatuses()) != len(envelopes) {
		return nil, &Error{Err: ErrServer, Reason: "wrong number of outcomes"}
	}
	outcomes := make([]Outcome, len(envelopes))
	for i, status := range answer.GetStatuses() {
		outcomes[i] = outcomeOf(status)
	}
	return outcomes, nil
}

func outcomeOf(status posthornv1.SendStatus) Outcome {
	switch status {
	case posthornv1.SendStatus_SEND_STATUS_ACCEPTED:
		return Accepted
	case posthornv1.SendStatus_SEND_STATUS_UNKNOWN_DEVICE:
		return UnknownDevice
	case posthornv1.SendStatus_SEND_STATUS_MAILBOX_FULL:
		return MailboxFull
	case posthornv1.SendStatus_SEND_STATUS_GONE:
		return Gone
	case posthornv1.SendStatus_SEND_STATUS_STALE_ROSTER:
		return Stale
	default:
		return Undecided
	}
}

// Ack says that everything up to seq is stored here, or refused for good. The
// server may then delete it. The server tells of the expired envelopes in each
// stream until an ack has said how many of them are noted.
func (c *Client) Ack(ctx context.Context, seq, expired uint64) error {
	_, err := authorized(ctx, c, c.mailbox.Ack, &posthornv1.AckRequest{Seq: seq, Expired: expired})
	return err
}

// stepper is the generated stream, whose type the generator names.
type stepper interface {
	Receive() (*posthornv1.ReceiveResponse, error)
	Close() error
}

// Stream yields the mailbox of this device from its first unacknowledged
// envelope on. It is for one goroutine; end its context to stop it from
// another.
type Stream struct {
	client   *Client
	ctx      context.Context
	cancel   context.CancelFunc
	token    string
	steps    stepper
	watchdog *time.Timer
	started  bool // the server has accepted the token
}

// Receive opens the stream. It lasts until ctx ends, Close, or a failure; a
// newer stream of the same device also ends it.
func (c *Client) Receive(ctx context.Context) (*Stream, error) {
	s := &Stream{client: c, ctx: ctx}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Stream) open() error {
	carrying, used, err := s.client.bearer(s.ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(carrying)
	watchdog := time.AfterFunc(silence, cancel)
	steps, err := s.client.mailbox.Receive(ctx, &posthornv1.ReceiveRequest{})
	if err != nil {
		watchdog.Stop()
		cancel()
		return failure(s.ctx, err)
	}
	s.token, s.steps, s.cancel, s.watchdog = used, steps, cancel, watchdog
	return nil
}

// Next waits for the next step. Keep-alives show as empty batches.
func (s *Stream) Next() (Batch, error) {
	answer, err := s.step()
	for i := 0; i < keptConnections && !s.started && s.mayRepeat(err); i++ {
		answer, err = s.again()
	}
	if err != nil {
		return Batch{}, err
	}
	s.started = true
	s.watchdog.Reset(silence)
	batch := Batch{CaughtUp: answer.GetCaughtUp(), Expired: answer.GetExpired(), Fetches: answer.GetBundleFetches()}
	for _, d := range answer.GetDeliveries() {
		batch.Deliveries = append(batch.Deliveries, deliveryOf(d))
	}
	return batch, nil
}

func (s *Stream) step() (*posthornv1.ReceiveResponse, error) {
	answer, err := s.steps.Receive()
	return answer, failure(s.ctx, err)
}

// mayRepeat reports whether a stream that never began may be opened again: the
// server had forgotten the token, or a kept connection to it was dead.
func (s *Stream) mayRepeat(err error) bool {
	if errors.Is(err, ErrUnauthenticated) {
		s.client.discard(s.token)
		return true
	}
	return errors.Is(err, ErrOffline)
}

// again opens the stream anew, with a new token if the old one was discarded.
func (s *Stream) again() (*posthornv1.ReceiveResponse, error) {
	_ = s.Close()
	if err := s.open(); err != nil {
		return nil, err
	}
	return s.step()
}

// Close ends the stream and releases what it holds.
func (s *Stream) Close() error {
	s.watchdog.Stop()
	s.cancel()
	return s.steps.Close()
}

// deliveryOf takes the fields of their own length. An id of another length
// stays zero and matches no account, so the engine refuses that delivery and
// moves past it.
func deliveryOf(d *posthornv1.Delivery) Delivery {
	out := Delivery{Seq: d.GetSeq(), Payload: d.GetPayload(), AcceptedAt: d.GetAcceptedAt()}
	fill(out.ID[:], d.GetId())
	fill(out.SenderAccount[:], d.GetSenderAccount())
	fill(out.SenderDevice[:], d.GetSenderDevice())
	return out
}

func fill(id, field []byte) {
	if len(field) == len(id) {
		copy(id, field)
	}
}
