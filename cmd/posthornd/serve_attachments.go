package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/blob/dir"
	"github.com/posthorn/posthorn/server/blob/s3"
)

// blobsFolder is where attachments lie by default, in the data folder.
const blobsFolder = "blobs"

// attachmentOptions say where attachments are kept. How much of them is one of
// the limits.
type attachmentOptions struct{ blobs string }

func (o *attachmentOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.blobs, "blobs", "", "`folder` for attachments, or a bucket, s3://NAME?region=REGION, with &endpoint=URL and &use_path_style=true for a store other than Amazon's (default DATA/"+blobsFolder+")")
}

// open opens the place for attachments of a server with a data folder.
func (o *attachmentOptions) open(ctx context.Context, data string) (blob.Store, error) {
	switch {
	case o.blobs == "":
		return dir.Open(filepath.Join(data, blobsFolder))
	case strings.HasPrefix(o.blobs, "s3://"):
		return s3.Open(ctx, o.blobs)
	}
	return dir.Open(o.blobs)
}
