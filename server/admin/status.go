package admin

import (
	"net/http"
	"time"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/server"
)

// Status is what a running server says of itself.
type Status struct {
	Version string `json:"version"`
	Store   string `json:"store"`
	// Devices counts devices that can receive, by their open mailboxes. A
	// registration that a crash cut short may leave one that is nobody's.
	Devices   uint64     `json:"devices"`
	Mailboxes uint64     `json:"mailboxes"`
	Queued    uint64     `json:"queued"`           // envelopes that wait
	Oldest    *time.Time `json:"oldest_queued_at"` // to the minute; null: none waits
	Limits    Limits     `json:"limits"`
}

// Limits are the bounds in force.
type Limits struct {
	EnvelopeBytes    int     `json:"envelope_bytes"`
	MailboxEnvelopes uint32  `json:"mailbox_envelopes"`
	MailboxBytes     uint64  `json:"mailbox_bytes"`
	SenderShare      float64 `json:"sender_share"` // of a mailbox
	RetentionSeconds int64   `json:"retention_seconds"`
	Challenges       Rate    `json:"challenges"` // from one address
	Registrations    Rate    `json:"registrations"`
	Lookups          Rate    `json:"lookups"` // of one account
	Bundles          Rate    `json:"bundles"`
	Sends            Rate    `json:"sends"` // of one device
	Bytes            Rate    `json:"bytes"`
}

// Rate is a sustained rate with a burst above it.
type Rate struct {
	PerSecond float64 `json:"per_second"`
	Burst     int     `json:"burst"`
}

func limitsOf(l server.Limits) Limits {
	return Limits{
		EnvelopeBytes: api.MaxEnvelope, MailboxEnvelopes: l.Mailbox.Envelopes, MailboxBytes: l.Mailbox.Bytes,
		SenderShare: 0.25, RetentionSeconds: int64(l.Retention / time.Second),
		Challenges: Rate(l.Challenges), Registrations: Rate(l.Registrations), Lookups: Rate(l.Lookups),
		Bundles: Rate(l.Bundles), Sends: Rate(l.Sends), Bytes: Rate(l.Bytes),
	}
}

func (d *Desk) status(w http.ResponseWriter, r *http.Request) error {
	counted, err := d.srv.Stats(r.Context())
	if err != nil {
		return err
	}
	s := Status{
		Version: d.about.Version, Store: d.about.Store(), Devices: counted.Mailboxes, Mailboxes: counted.Mailboxes,
		Queued: counted.Queued, Limits: limitsOf(d.srv.Limits()),
	}
	if !counted.Oldest.IsZero() {
		s.Oldest = &counted.Oldest
	}
	return reply(w, s)
}
