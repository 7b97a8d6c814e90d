package server

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server/store"
)

// logReady is nil unless there is a log that gives no proofs yet.
func (srv *Server) logReady() error {
	switch {
	case srv.options.Transparency == nil:
		return nil
	case !srv.auth.directory.adopted.Load():
		return errors.Join(ktlog.ErrStarting, srv.options.Transparency.Ready())
	}
	return srv.options.Transparency.Ready()
}

// Prepare waits until the log gives proofs, or ctx ends: then Serve goes on with
// it, and look-ups wait.
func (srv *Server) Prepare(ctx context.Context) { srv.keepLog(ctx) }

// keepLog brings accounts from before the log into it, once, and then lets
// look-ups through. Mailboxes are served meanwhile.
func (srv *Server) keepLog(ctx context.Context) {
	l, d := srv.options.Transparency, srv.auth.directory
	if l == nil {
		return
	}
	for ctx.Err() == nil && !d.adopted.Load() {
		err := l.Wait(ctx)
		if err == nil {
			err = l.Adopt(ctx, func(add func(kt.Record) error) error { return d.eachLogged(ctx, add) })
		}
		if err == nil {
			d.adopted.Store(true)
			return
		}
		if ctx.Err() != nil {
			return
		}
		srv.log.Error("accounts from before the transparency log are not in it yet", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(clock.Nap(time.Second)):
		}
	}
}

// eachLogged visits what the log is to hold of every account with a name.
func (d *directory) eachLogged(ctx context.Context, visit func(kt.Record) error) error {
	const prefix = "account/"
	return d.each(ctx, prefix, func(key string, _ []byte) error {
		var id account.ID
		raw, err := hex.DecodeString(key[len(prefix):])
		if err != nil || copy(id[:], raw) != len(id) {
			return errRecord
		}
		stored, _, err := d.account(ctx, id)
		if errors.Is(err, store.ErrNotFound) { // deleted
			return nil
		}
		if err != nil {
			return err
		}
		holder, _, err := d.accountByName(ctx, stored.name)
		if errors.Is(err, store.ErrNotFound) || err == nil && holder != id {
			return nil // it never got its name
		}
		if err != nil {
			return err
		}
		r, err := d.logRecord(ctx, id)
		if err != nil {
			return err
		}
		return visit(r)
	})
}

// forget takes a deleted account out of the log as far as a log can.
func (srv *Server) forget(ctx context.Context, name account.Name, id account.ID) error {
	if srv.options.Transparency == nil {
		return nil
	}
	return srv.options.Transparency.Forget(ctx, name, id)
}

// logFiles give out the tiles of both logs: that of roots to everybody, that of
// updates to accounts, unless the operator says that it is public.
func (srv *Server) logFiles(mux *http.ServeMux) {
	l := srv.options.Transparency
	if l == nil {
		return
	}
	each := newLimiter(srv.options.Limits.Challenges)
	bounded := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if each.allow(requestOf(r.Context()).address, clock.Now()) != nil {
				w.Header().Set("Retry-After", "1")
				http.Error(w, "too many requests from this address; nothing was given", http.StatusTooManyRequests)
				return
			}
			next(w, r)
		}
	}
	mux.HandleFunc("GET /kt/roots/{path...}", bounded(func(w http.ResponseWriter, r *http.Request) {
		l.Files(w, r, false, r.PathValue("path"))
	}))
	mux.HandleFunc("GET /kt/updates/{path...}", bounded(func(w http.ResponseWriter, r *http.Request) {
		if !srv.options.LogPublic && !srv.hasToken(r) {
			http.Error(w, "the log of updates is for accounts of this server; send a token", http.StatusUnauthorized)
			return
		}
		l.Files(w, r, true, r.PathValue("path"))
	}))
}

func (srv *Server) hasToken(r *http.Request) bool {
	_, ok, err := srv.auth.tokens.holder(r.Context(), r.Header.Get("Authorization"), clock.Now())
	return ok && err == nil
}
