package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/admin"
	"github.com/posthorn/posthorn/server/blob/blobmove"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/relocate"
)

// mover moves what this process keeps to other places.
type mover struct {
	srv   *server.Server
	kept  store.Store
	files *attachmentPlace
	data  string
	log   *slog.Logger
	far   atomic.Pointer[blobmove.Sum] // how far the attachments are, while they are moved
}

var errInDatabase = &admin.Error{Kind: admin.KindRefused, Text: "the server runs on a database already; nothing was moved", Hint: "databases are moved with their own tools; to move attachments alone, leave --to away"}

// answer is the command behind posthornd migrate.
func (m *mover) answer(w http.ResponseWriter, r *http.Request) error {
	var asked moveRequest
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&asked); err != nil {
		return &admin.Error{Kind: admin.KindRefused, Text: "the request cannot be read; nothing was moved", Hint: "use the posthornd of the same version"}
	}
	if asked.To != "" && asked.BlobsTo != "" {
		if err := m.tryDatabase(r.Context(), asked.To); err != nil {
			return err
		}
	}
	var done moveAnswer
	if asked.BlobsTo != "" {
		files, err := m.moveFiles(r.Context(), asked)
		if err != nil {
			return err
		}
		done.Attachments = files
	}
	if asked.To != "" {
		sum, err := m.moveStore(r.Context(), asked.To)
		if err != nil {
			return afterFiles(err, done.Attachments)
		}
		done.Sum = sum
	}
	done.Blobs = m.files.path()
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(done)
}

// tryDatabase finds out before anything else is moved whether a database will do.
func (m *mover) tryDatabase(ctx context.Context, url string) error {
	if _, ok := m.kept.(*relocate.Store); !ok || (&storeOptions{where: embedded}).name(m.data) != embedded {
		return errInDatabase
	}
	target, err := postgres.OpenTarget(ctx, url, rand.Text(), (&storeOptions{accept: true}).database(m.data, m.log))
	if err != nil {
		return refusedMove(err)
	}
	return target.Close()
}

// moveStore moves mailboxes and directory.
func (m *mover) moveStore(ctx context.Context, url string) (*store.Sum, error) {
	kept, ok := m.kept.(*relocate.Store)
	if !ok {
		return nil, errInDatabase
	}
	var sum store.Sum
	old, err := kept.Move(ctx, func(ctx context.Context, from store.Store) (to store.Store, err error) {
		to, sum, err = m.move(ctx, from, url)
		return to, err
	})
	if err != nil {
		return nil, refusedMove(err)
	}
	if err := old.Close(); err != nil {
		m.log.Error("the embedded store, which is not used any more, was not closed in order", "error", err)
	}
	m.log.Info("the store was moved into a database")
	return &sum, nil
}

// move copies a store into a database, compares the two and leaves the mark
// from which on the database counts.
func (m *mover) move(ctx context.Context, from store.Store, url string) (store.Store, store.Sum, error) {
	source, ok := from.(*pebble.Store)
	if !ok {
		return nil, store.Sum{}, errInDatabase
	}
	id := rand.Text()
	target, err := postgres.OpenTarget(ctx, url, id, (&storeOptions{accept: true}).database(m.data, m.log))
	if err != nil {
		return nil, store.Sum{}, err
	}
	sum, err := relocate.Copy(ctx, source, target, target.Load(ctx))
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = (&moved{ID: id, At: clock.Now().UTC()}).write(m.data)
	}
	if err != nil {
		return nil, sum, errors.Join(err, target.Close())
	}
	if err := target.Finish(context.WithoutCancel(ctx)); err != nil {
		m.log.Warn("the database does not know yet that the move is complete; the next start tells it", "error", err)
	}
	return target, sum, nil
}

// refusedMove says what the operator can do about a move that failed.
func refusedMove(err error) error {
	hints := []struct {
		is   error
		hint string
	}{
		{postgres.ErrURL, "write it as postgres://USER@HOST/DATABASE"},
		{postgres.ErrNotEmpty, "make a new database for it"},
		{postgres.ErrUnsafe, "ask whoever runs the database for it"},
		{postgres.ErrStale, "name the primary"},
		{store.ErrFormat, "make a new database for it"},
		{relocate.ErrPaused, "wait for the move that is in progress"},
		{relocate.ErrDiffers, "check that no other program writes to the database, then move again"},
		{store.ErrStopped, "check that the database runs and can be reached from the server, then move again"},
	}
	if refused, ok := errors.AsType[*admin.Error](err); ok {
		return refused
	}
	for _, h := range hints {
		if errors.Is(err, h.is) {
			return &admin.Error{Kind: admin.KindRefused, Text: "nothing was moved, the embedded store stays in use: " + err.Error(), Hint: h.hint}
		}
	}
	return err
}
