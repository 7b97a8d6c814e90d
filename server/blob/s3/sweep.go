package s3

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	ours "github.com/posthorn/posthorn/server/blob"
)

// group is the objects of one file, which follow each other in a listing.
type group struct {
	id     ours.ID
	keys   []string
	newest time.Time
	since  time.Time // of the object that dates the file, if it has one
	done   bool
}

func (g *group) add(key string, at time.Time) {
	g.keys = append(g.keys, key)
	_, rest, _ := strings.Cut(key, "/")
	if since, ok := sinceOf(rest); ok {
		if since.After(g.since) {
			g.since = since
		}
		return
	}
	if at.After(g.newest) {
		g.newest = at
	}
	g.done = g.done || rest == "done"
}

// changed is from when on the age of the file or upload counts.
func (g *group) changed() time.Time {
	if g.done && !g.since.IsZero() {
		return g.since
	}
	return g.newest
}

// Remove deletes the object that makes the file readable first.
func (b *Bucket) Remove(ctx context.Context, id ours.ID) error {
	g, err := b.objectsOf(ctx, id)
	if err != nil {
		return err
	}
	return b.removeAll(ctx, g)
}

// objectsOf lists what there is of one file.
func (b *Bucket) objectsOf(ctx context.Context, id ours.ID) (g group, err error) {
	g.id = id
	objects := b.bucket.List(&blob.ListOptions{Prefix: id.String() + "/"})
	for {
		o, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			return g, nil
		}
		if err != nil {
			return g, failed("list", err)
		}
		g.add(o.Key, o.ModTime)
	}
}

// removeAll goes in the order of the listing, in which "done" comes first: an
// interrupted removal leaves an upload, not a file with holes.
func (b *Bucket) removeAll(ctx context.Context, g group) error {
	for _, key := range g.keys {
		if err := b.bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return failed("remove", err)
		}
	}
	return nil
}

// Sweep lists the whole bucket and removes by the store's own times, unless Date
// has given a file another.
func (b *Bucket) Sweep(ctx context.Context, finished, unfinished time.Time) (removed int, err error) {
	err = b.each(ctx, func(g group) error {
		before := unfinished
		if g.done {
			before = finished
		}
		if !g.changed().Before(before) {
			return nil
		}
		removed++
		return b.removeAll(ctx, g)
	})
	return removed, err
}

// each lists the whole bucket, file by file and upload by upload.
func (b *Bucket) each(ctx context.Context, visit func(group) error) error {
	var g group
	end := func() error {
		if len(g.keys) == 0 {
			return nil
		}
		return visit(g)
	}
	objects := b.bucket.List(nil)
	for {
		o, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			return end()
		}
		if err != nil {
			return failed("list", err)
		}
		id, ours := idOf(o.Key)
		if !ours {
			continue
		}
		if id != g.id {
			if err := end(); err != nil {
				return err
			}
			g = group{id: id}
		}
		g.add(o.Key, o.ModTime)
	}
}

// idOf tells our objects from others in the same bucket.
func idOf(key string) (id ours.ID, ok bool) {
	name, rest, _ := strings.Cut(key, "/")
	b, err := hex.DecodeString(name)
	_, dates := sinceOf(rest)
	if err != nil || len(b) != len(id) || rest != "done" && !strings.HasPrefix(rest, "p") && !dates {
		return id, false
	}
	return ours.ID(b), true
}
