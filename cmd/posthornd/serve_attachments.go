package main

import (
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/blob/dir"
)

// blobsFolder is where attachments lie by default, in the data folder.
const blobsFolder = "blobs"

// attachmentOptions say where attachments are kept. How much of them is one of
// the limits.
type attachmentOptions struct{ blobs string }

func (o *attachmentOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.blobs, "blobs", "", "`folder` for attachments (default DATA/"+blobsFolder+")")
}

// open opens the place for attachments of a server with a data folder.
func (o *attachmentOptions) open(data string) (blob.Store, error) {
	if o.blobs == "" {
		return dir.Open(filepath.Join(data, blobsFolder))
	}
	return dir.Open(o.blobs)
}
