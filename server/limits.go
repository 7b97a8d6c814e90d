package server

import (
	"time"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/server/store"
)

// Rate is a sustained number of calls a second with a burst above it.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Limits are the bounds an operator may change. Zero fields stand for the
// default.
type Limits struct {
	// Challenges bounds login attempts from one address.
	Challenges Rate
	// Registrations bounds new accounts from one address.
	Registrations Rate
	// Lookups bounds name look-ups and roster reads of one account.
	Lookups Rate
	// Bundles bounds bundle fetches of one account, which are how prekeys are
	// probed.
	Bundles Rate
	// PairBundles bounds how often one account fetches the bundle of one device.
	PairBundles Rate
	// Sends bounds the Send calls of one device.
	Sends Rate
	// Bytes bounds the payload bytes that one device sends.
	Bytes Rate
	// Attachments bounds the uploads that one account begins.
	Attachments Rate
	// AttachmentBytes bounds what one device uploads and fetches.
	AttachmentBytes Rate
	// AttachmentSize is the greatest file, in bytes before sealing.
	AttachmentSize uint64
	// AttachmentQuota is how many bytes of sealed files one account has at a
	// time.
	AttachmentQuota uint64
	// AttachmentRetention is how long a file is kept after its upload.
	AttachmentRetention time.Duration
	// Envelope is the greatest payload of an envelope, in bytes; at most
	// api.MaxEnvelope.
	Envelope int
	// Mailbox bounds one device's queue.
	Mailbox store.Limits
	// Retention is how long an envelope waits.
	Retention time.Duration
	// Connections bounds how many are open at a time, and
	// ConnectionsPerAddress how many of one address; behind a proxy the latter
	// does not count, as all of them are the proxy's.
	Connections           int
	ConnectionsPerAddress int
	// Streams bounds the calls at a time over one HTTP/2 connection.
	Streams int
	// HeaderTime bounds how long the head of a request may take to come in.
	HeaderTime time.Duration
	// CallTime bounds every call but a delivery stream.
	CallTime time.Duration
	// KeepAlive is the longest silence on a delivery stream.
	KeepAlive time.Duration
	// Repair is the longest pause after which a delivery stream looks into the
	// store although nobody told it of anything.
	Repair time.Duration
	// RepairNoBus is that pause while nodes do not hear each other. It bounds
	// how late an envelope is that another node accepted meanwhile.
	RepairNoBus time.Duration
	// StreamWrite bounds how long a slow device may hold up its own stream.
	StreamWrite time.Duration
}

// DefaultLimits suit a small server whose users sit behind a few addresses.
func DefaultLimits() Limits {
	return Limits{
		Challenges:    Rate{PerSecond: 50, Burst: 500},
		Registrations: Rate{PerSecond: 5, Burst: 200},
		Lookups:       Rate{PerSecond: 20, Burst: 300},
		Bundles:       Rate{PerSecond: 10, Burst: 300},
		PairBundles:   Rate{PerSecond: 1, Burst: 60},
		Sends:         Rate{PerSecond: 200, Burst: 2000},
		Bytes:         Rate{PerSecond: 4 << 20, Burst: 64 << 20},
		Attachments:   Rate{PerSecond: 2, Burst: 200},
		// A gibibyte takes half a minute, and a burst is two greatest files.
		AttachmentBytes:     Rate{PerSecond: 32 << 20, Burst: 256 << 20},
		AttachmentSize:      100 << 20,
		AttachmentQuota:     2 << 30,
		AttachmentRetention: api.AttachmentRetention,
		Envelope:            api.MaxEnvelope,
		Mailbox:             store.Limits{Envelopes: store.DefaultEnvelopes, Bytes: store.DefaultBytes},
		Retention:           api.Retention,
		// A connection costs some 20 to 60 KB, so the first bound keeps them
		// within about a gigabyte. The second leaves room for an organisation
		// behind one address.
		Connections:           20_000,
		ConnectionsPerAddress: 2_000,
		Streams:               64,
		HeaderTime:            10 * time.Second,
		CallTime:              20 * time.Second,
		KeepAlive:             api.KeepAlive,
		Repair:                time.Minute,
		RepairNoBus:           4 * time.Second,
		StreamWrite:           30 * time.Second,
	}
}

// resolve fills zero fields with the defaults.
func (l Limits) resolve() Limits {
	def := DefaultLimits()
	for _, pair := range [][2]*Rate{
		{&l.Challenges, &def.Challenges}, {&l.Registrations, &def.Registrations},
		{&l.Lookups, &def.Lookups}, {&l.Bundles, &def.Bundles}, {&l.PairBundles, &def.PairBundles}, {&l.Sends, &def.Sends}, {&l.Bytes, &def.Bytes},
		{&l.Attachments, &def.Attachments}, {&l.AttachmentBytes, &def.AttachmentBytes},
	} {
		if *pair[0] == (Rate{}) {
			*pair[0] = *pair[1]
		}
	}
	for _, pair := range [][2]*int{
		{&l.Envelope, &def.Envelope}, {&l.Connections, &def.Connections},
		{&l.ConnectionsPerAddress, &def.ConnectionsPerAddress}, {&l.Streams, &def.Streams},
	} {
		if *pair[0] == 0 {
			*pair[0] = *pair[1]
		}
	}
	for _, pair := range [][2]*time.Duration{
		{&l.Retention, &def.Retention}, {&l.HeaderTime, &def.HeaderTime}, {&l.CallTime, &def.CallTime}, {&l.KeepAlive, &def.KeepAlive}, {&l.StreamWrite, &def.StreamWrite},
		{&l.AttachmentRetention, &def.AttachmentRetention},
		{&l.Repair, &def.Repair}, {&l.RepairNoBus, &def.RepairNoBus},
	} {
		if *pair[0] == 0 {
			*pair[0] = *pair[1]
		}
	}
	for _, pair := range [][2]*uint64{{&l.AttachmentSize, &def.AttachmentSize}, {&l.AttachmentQuota, &def.AttachmentQuota}} {
		if *pair[0] == 0 {
			*pair[0] = *pair[1]
		}
	}
	return l
}
