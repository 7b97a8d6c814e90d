package s3

import (
	"context"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	ours "github.com/posthorn/posthorn/server/blob"
)

// The times of objects are the store's own and cannot be set. A file whose age
// counts from another time than that of its objects has one more object, whose
// name tells it, so that a listing is enough to know all ages.

const sinceName = "since-"

func since(id ours.ID, at time.Time) string {
	return id.String() + "/" + sinceName + strconv.FormatInt(at.UnixMilli(), 10)
}

// sinceOf reads the last part of such a name.
func sinceOf(rest string) (at time.Time, ok bool) {
	text, ok := strings.CutPrefix(rest, sinceName)
	if !ok {
		return at, false
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(ms, 10) != text {
		return at, false
	}
	return time.UnixMilli(ms), true
}

// List lists the whole bucket.
func (b *Bucket) List(ctx context.Context, visit func(ours.File) error) error {
	return b.each(ctx, func(g group) error {
		if !g.done {
			return nil
		}
		return visit(ours.File{ID: g.id, Finished: g.changed()})
	})
}

// Finished lists the objects of one file.
func (b *Bucket) Finished(ctx context.Context, id ours.ID) (time.Time, error) {
	g, err := b.objectsOf(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	if !g.done {
		return time.Time{}, ours.ErrNotFound
	}
	return g.changed(), nil
}

// Date puts the object that dates the file, and then removes those before it.
func (b *Bucket) Date(ctx context.Context, id ours.ID, finished time.Time) error {
	g, err := b.objectsOf(ctx, id)
	if err != nil {
		return err
	}
	if !g.done {
		return ours.ErrNotFound
	}
	now := since(id, finished)
	if err := b.bucket.WriteAll(ctx, now, nil, &blob.WriterOptions{ContentType: opaque}); err != nil {
		return failed("date", err)
	}
	for _, key := range g.keys {
		_, rest, _ := strings.Cut(key, "/")
		if _, dates := sinceOf(rest); !dates || key == now {
			continue
		}
		if err := b.bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return failed("date", err)
		}
	}
	return nil
}
