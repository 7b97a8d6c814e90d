package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/server/admin"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/relocate"
)

// mover moves the store of this process into a database.
type mover struct {
	kept store.Store
	data string
	log  *slog.Logger
}

var errInDatabase = &admin.Error{Kind: admin.KindRefused, Text: "the server runs on a database already; nothing was moved", Hint: "databases are moved with their own tools"}

// answer is the command behind posthornd migrate.
func (m *mover) answer(w http.ResponseWriter, r *http.Request) error {
	var asked moveRequest
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&asked); err != nil {
		return &admin.Error{Kind: admin.KindRefused, Text: "the request cannot be read; nothing was moved", Hint: "use the posthornd of the same version"}
	}
	kept, ok := m.kept.(*relocate.Store)
	if !ok {
		return errInDatabase
	}
	var sum store.Sum
	old, err := kept.Move(r.Context(), func(ctx context.Context, from store.Store) (to store.Store, err error) {
		to, sum, err = m.move(ctx, from, asked.To)
		return to, err
	})
	if err != nil {
		return refusedMove(err)
	}
	if err := old.Close(); err != nil {
		m.log.Error("the embedded store, which is not used any more, was not closed in order", "error", err)
	}
	m.log.Info("the store was moved into a database")
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(sum)
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
