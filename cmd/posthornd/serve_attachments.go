package main

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/blob/blobmove"
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

// attachmentPlace is where the attachments of a running server lie, which a move
// changes.
type attachmentPlace struct {
	*blobmove.Store
	data  string
	named atomic.Pointer[string]
}

// open opens the place for attachments of a server with a data folder, unless
// they were moved away from there.
func (o *attachmentOptions) open(ctx context.Context, data string) (*attachmentPlace, error) {
	name, err := placeName(data, o.blobs)
	if err != nil {
		return nil, err
	}
	mark, err := blobsMovedFrom(data)
	if err != nil {
		return nil, err
	}
	if err := mark.refuse(name); err != nil {
		return nil, err
	}
	there, err := openPlace(ctx, data, name)
	if err != nil {
		return nil, err
	}
	p := &attachmentPlace{Store: blobmove.New(there), data: data}
	p.named.Store(&name)
	return p, nil
}

// name is what the place is called now; see placeName.
func (p *attachmentPlace) name() string { return *p.named.Load() }

// path is the folder of the place, or the URL of a bucket.
func (p *attachmentPlace) path() string { return placePath(p.data, p.name()) }

func isBucket(where string) bool { return strings.HasPrefix(where, "s3://") }

// placeName tells places apart: the URL of a bucket, or the path of a folder,
// relative to the data folder if it lies in it, so that this may be moved.
func placeName(data, blobs string) (string, error) {
	if blobs == "" {
		return blobsFolder, nil
	}
	if isBucket(blobs) {
		return blobs, nil
	}
	path, err := filepath.Abs(blobs)
	if err != nil {
		return "", err
	}
	if data, err = filepath.Abs(data); err != nil {
		return "", err
	}
	if inside, err := filepath.Rel(data, path); err == nil && filepath.IsLocal(inside) {
		return inside, nil
	}
	return path, nil
}

func placePath(data, name string) string {
	if isBucket(name) || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(data, name)
}

func openPlace(ctx context.Context, data, name string) (blob.Store, error) {
	if isBucket(name) {
		return s3.Open(ctx, name)
	}
	return dir.Open(placePath(data, name))
}
