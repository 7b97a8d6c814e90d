package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/server"
)

// limitOptions are the bounds of package server, each an option by name.
type limitOptions struct{ server.Limits }

func (o *limitOptions) flags(flags *pflag.FlagSet) {
	o.Limits = server.DefaultLimits()
	o.storage(flags)
	o.attachments(flags)
	o.rates(flags)
	o.network(flags)
}

// storage bounds what is kept.
func (o *limitOptions) storage(flags *pflag.FlagSet) {
	flags.Var(size[int]{&o.Envelope, 4 << 10, api.MaxEnvelope}, "envelope-size", "the greatest envelope that is taken")
	flags.Var(count[uint32]{&o.Mailbox.Envelopes, 16, 10_000_000}, "mailbox-envelopes", "how many envelopes a mailbox opened from now on holds; one sender may fill a quarter")
	flags.Var(size[uint64]{&o.Mailbox.Bytes, 1 << 20, 1 << 40}, "mailbox-bytes", "how much a mailbox opened from now on holds; one sender may fill a quarter")
	flags.Var(span{&o.Retention, day, 366 * day}, "retention", "how long an envelope waits for its device")
}

// attachments bounds sealed files.
func (o *limitOptions) attachments(flags *pflag.FlagSet) {
	flags.Var(size[uint64]{&o.AttachmentSize, 1, api.MaxAttachment}, "attachment-size", "the greatest file before it is sealed")
	flags.Var(size[uint64]{&o.AttachmentQuota, 1, 1 << 50}, "attachment-quota", "what one account has in files at a time")
	flags.Var(span{&o.AttachmentRetention, time.Hour, 366 * day}, "attachment-retention", "how long a file is kept")
	flags.Var(pace{&o.Attachments}, "rate-attachments", "uploads that one account begins")
	flags.Var(flow{&o.AttachmentBytes, api.AttachmentPart}, "rate-attachment-bytes", "what one device uploads and fetches of files")
}

// check refuses limits that contradict each other.
func (o *limitOptions) check(cmd *cobra.Command) error {
	if o.AttachmentQuota < o.AttachmentSize {
		return usage(cmd, "--attachment-quota must not be smaller than --attachment-size")
	}
	return nil
}

// rates bound what one caller asks for: so much a second, and so much at once.
func (o *limitOptions) rates(flags *pflag.FlagSet) {
	flags.Var(pace{&o.Challenges}, "rate-logins", "login steps of one address, and new delivery streams of one device")
	flags.Var(pace{&o.Registrations}, "rate-registrations", "new accounts from one address")
	flags.Var(pace{&o.Lookups}, "rate-lookups", "names and rosters looked up by one account")
	flags.Var(pace{&o.Bundles}, "rate-bundles", "prekey bundles fetched or published by one account")
	flags.Var(pace{&o.PairBundles}, "rate-pair-bundles", "prekey bundles of one device fetched by one account")
	flags.Var(pace{&o.Sends}, "rate-sends", "requests of one device to send")
	flags.Var(flow{&o.Bytes, api.MaxEnvelope}, "rate-bytes", "what one device sends")
}

// network bounds connections and how long they may take.
func (o *limitOptions) network(flags *pflag.FlagSet) {
	flags.Var(count[int]{&o.Connections, 1, 10_000_000}, "max-connections", "connections in all; one more is closed at once")
	flags.Var(count[int]{&o.ConnectionsPerAddress, 1, 10_000_000}, "max-connections-per-address", "connections of one address; not counted behind a proxy")
	flags.Var(count[int]{&o.Streams, 1, 10_000}, "max-streams", "calls at the same time over one HTTP/2 connection")
	flags.Var(span{&o.HeaderTime, time.Second, 2 * time.Minute}, "header-time", "how long the head of a request, or a TLS handshake, may take")
	flags.Var(span{&o.CallTime, time.Second, 10 * time.Minute}, "call-time", "how long a call may take, delivery streams excepted")
	flags.Var(span{&o.KeepAlive, time.Second, api.KeepAlive}, "keep-alive", "the longest silence on a delivery stream")
	flags.Var(span{&o.Repair, time.Second, time.Hour}, "repair", "the longest pause after which an idle delivery stream looks into the store")
	flags.Var(span{&o.RepairNoBus, time.Second, time.Hour}, "repair-no-bus", "that pause while nodes do not hear each other")
	flags.Var(span{&o.StreamWrite, time.Second, 10 * time.Minute}, "stream-write", "how long a device may leave a delivery untaken")
}
