// Package s3 keeps attachments in a bucket of an S3-compatible store. Every
// part is an object of its own, ID/p000000 and so on, and the object ID/done,
// which holds the length, makes the file readable; a range is put together from
// the parts it touches. A file that came from another place has one object more, which
// dates it (age.go). So an upload can go on after any interruption, at any
// server over the same bucket, without a copy on a disk and without state in the
// store's own multipart uploads, which S3 keeps and bills until they are ended.
package s3

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob" // the scheme s3://
	"gocloud.dev/gcerrors"

	ours "github.com/posthorn/posthorn/server/blob"
)

// ErrBucket: the bucket is not there, or may not be used with these credentials.
var ErrBucket = errors.New("the bucket for attachments cannot be used")

// Bucket is a Store of package blob over one bucket.
type Bucket struct{ bucket *blob.Bucket }

// Open opens a bucket by its URL, such as s3://NAME?region=eu-central-1, or with
// endpoint and use_path_style for a store other than Amazon's. Credentials come
// from where Amazon's own programs take them. It asks the bucket for nothing
// but whether it may be used. Error: ErrBucket.
func Open(ctx context.Context, url string) (*Bucket, error) {
	bucket, err := blob.OpenBucket(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBucket, err)
	}
	there, err := bucket.IsAccessible(ctx)
	if err == nil && !there {
		err = errors.New("it does not exist")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrBucket, err), bucket.Close())
	}
	return &Bucket{bucket}, nil
}

func part(id ours.ID, n int) string { return fmt.Sprintf("%s/p%06d", id, n) }

func done(id ours.ID) string { return id.String() + "/done" }

// WritePart puts one object.
func (b *Bucket) WritePart(ctx context.Context, id ours.ID, n int, data []byte) error {
	if n > 0 {
		before, err := b.bucket.Exists(ctx, part(id, n-1))
		if err != nil {
			return failed("look for", err)
		}
		if !before {
			return ours.ErrNotFound
		}
	}
	return failed("write", b.bucket.WriteAll(ctx, part(id, n), data, &blob.WriterOptions{ContentType: opaque}))
}

// opaque keeps the store from guessing at types.
const opaque = "application/octet-stream"

// Finish puts the object that makes the file readable, when the last part is
// there and has its length.
func (b *Bucket) Finish(ctx context.Context, id ours.ID, size uint64) error {
	last := int((size - 1) / ours.PartSize)
	there, err := b.bucket.Attributes(ctx, part(id, last))
	if err != nil {
		return failed("look at", err)
	}
	if uint64(there.Size) != size-uint64(last)*ours.PartSize {
		return ours.ErrNotFound
	}
	return failed("finish", b.bucket.WriteAll(ctx, done(id), []byte(strconv.FormatUint(size, 10)), &blob.WriterOptions{ContentType: opaque}))
}

// Size reads the object that finished the file.
func (b *Bucket) Size(ctx context.Context, id ours.ID) (uint64, error) {
	text, err := b.bucket.ReadAll(ctx, done(id))
	if err != nil {
		return 0, failed("look at", err)
	}
	size, err := strconv.ParseUint(string(text), 10, 63)
	if err != nil {
		return 0, errors.New("blob: the length of an attachment is damaged")
	}
	return size, nil
}

// Read gets the ranges of the parts that it touches.
func (b *Bucket) Read(ctx context.Context, id ours.ID, offset uint64, length int) ([]byte, error) {
	size, err := b.Size(ctx, id)
	if err != nil || offset >= size {
		return nil, err
	}
	end := min(size, offset+uint64(length))
	out := make([]byte, 0, end-offset)
	for offset < end {
		n := offset / ours.PartSize
		from := offset - n*ours.PartSize
		count := min(end-offset, ours.PartSize-from)
		if out, err = b.appendRange(ctx, out, part(id, int(n)), int64(from), int64(count)); err != nil {
			return nil, err
		}
		offset += count
	}
	return out, nil
}

// appendRange reads a range of one object, all of it or an error.
func (b *Bucket) appendRange(ctx context.Context, out []byte, key string, from, count int64) ([]byte, error) {
	r, err := b.bucket.NewRangeReader(ctx, key, from, count, nil)
	if err != nil {
		return nil, failed("read", err)
	}
	start := len(out)
	out = out[:start+int(count)]
	for got := 0; got < int(count); {
		n, err := r.Read(out[start+got:])
		if got += n; err != nil && got < int(count) {
			return nil, errors.Join(failed("read", err), r.Close())
		}
	}
	return out, r.Close()
}

// Close ends the use of the bucket.
func (b *Bucket) Close() error { return b.bucket.Close() }

// failed names the step and hides the object's name, which may be in a log.
func failed(step string, err error) error {
	switch {
	case err == nil:
		return nil
	case gcerrors.Code(err) == gcerrors.NotFound:
		return ours.ErrNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("blob: cannot %s an attachment in the bucket: %s", step, gcerrors.Code(err))
}
