package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/blob/dir"
)

// blobsFolder is where attachments lie by default, in the data folder.
const blobsFolder = "blobs"

// largestAttachment is the highest --attachment-size: 1 GiB.
const largestAttachment = 1 << 30

// attachmentOptions say where attachments are kept, and how much of them.
type attachmentOptions struct {
	blobs     string
	size      byteSize
	quota     byteSize
	retention time.Duration
}

func (o *attachmentOptions) flags(flags *pflag.FlagSet) {
	def := server.DefaultLimits()
	o.size, o.quota = byteSize(def.AttachmentSize), byteSize(def.AttachmentQuota)
	flags.StringVar(&o.blobs, "blobs", "", "`folder` for attachments (default DATA/"+blobsFolder+")")
	flags.Var(&o.size, "attachment-size", "greatest attachment, at most 1GiB")
	flags.Var(&o.quota, "attachment-quota", "what one account has in attachments at a time")
	flags.DurationVar(&o.retention, "attachment-retention", def.AttachmentRetention, "how `long` an attachment is kept")
}

// check refuses values that would make no sense.
func (o *attachmentOptions) check(cmd *cobra.Command) error {
	switch {
	case o.size == 0 || o.size > largestAttachment:
		return usage(cmd, "--attachment-size must be between 1 byte and 1GiB")
	case o.quota < o.size:
		return usage(cmd, "--attachment-quota must not be smaller than --attachment-size")
	case o.retention < time.Hour:
		return usage(cmd, "--attachment-retention must be an hour or more")
	}
	return nil
}

// open opens the place for attachments of a server with a data folder.
func (o *attachmentOptions) open(data string) (blob.Store, error) {
	if o.blobs == "" {
		return dir.Open(filepath.Join(data, blobsFolder))
	}
	return dir.Open(o.blobs)
}

// limit sets the server's limits.
func (o *attachmentOptions) limit(l *server.Limits) {
	l.AttachmentSize, l.AttachmentQuota, l.AttachmentRetention = uint64(o.size), uint64(o.quota), o.retention
}

// byteSize is an amount of bytes as an option: 1048576, 64KiB, 100MiB or 1GiB.
type byteSize uint64

// units are tried in this order, the longest suffix first.
var units = []struct {
	suffix string
	bytes  uint64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

// String is the shortest form that Set reads.
func (b *byteSize) String() string {
	for _, u := range units {
		if n := uint64(*b); n%u.bytes == 0 && n >= u.bytes {
			return strconv.FormatUint(n/u.bytes, 10) + u.suffix
		}
	}
	return "0"
}

// Set reads an amount.
func (b *byteSize) Set(text string) error {
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil || n > 1<<60/u.bytes {
			return fmt.Errorf("%q is no size; write bytes, or a number with KiB, MiB, GiB or TiB", text)
		}
		*b = byteSize(n * u.bytes)
		return nil
	}
	return nil // not reached: the last suffix is empty
}

// Type is the word for the value in the help.
func (*byteSize) Type() string { return "size" }
