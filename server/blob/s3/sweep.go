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
	done   bool
}

func (g *group) add(key string, at time.Time) {
	g.keys = append(g.keys, key)
	if at.After(g.newest) {
		g.newest = at
	}
	g.done = g.done || strings.HasSuffix(key, "/done")
}

// Remove deletes the object that makes the file readable first.
func (b *Bucket) Remove(ctx context.Context, id ours.ID) error {
	g := group{id: id}
	objects := b.bucket.List(&blob.ListOptions{Prefix: id.String() + "/"})
	for {
		o, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			return b.removeAll(ctx, g)
		}
		if err != nil {
			return failed("list", err)
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

// Sweep lists the whole bucket and removes by the store's own times.
func (b *Bucket) Sweep(ctx context.Context, finished, unfinished time.Time) (removed int, err error) {
	var g group
	end := func() error {
		before := unfinished
		if g.done {
			before = finished
		}
		if len(g.keys) == 0 || !g.newest.Before(before) {
			return nil
		}
		removed++
		return b.removeAll(ctx, g)
	}
	objects := b.bucket.List(nil)
	for {
		o, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			return removed, end()
		}
		if err != nil {
			return removed, failed("list", err)
		}
		id, ours := idOf(o.Key)
		if !ours {
			continue
		}
		if id != g.id {
			if err := end(); err != nil {
				return removed, err
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
	if err != nil || len(b) != len(id) || rest != "done" && !strings.HasPrefix(rest, "p") {
		return id, false
	}
	return ours.ID(b), true
}
