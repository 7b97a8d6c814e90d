package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/posthorn/posthorn/invite"
	"github.com/posthorn/posthorn/server"
)

// Desk answers the operator's commands on the socket.
type Desk struct {
	srv   *server.Server
	about About
	log   *slog.Logger
	mux   *http.ServeMux
}

// About is what the program that serves says of itself.
type About struct {
	Version string        // of the program
	Store   func() string // what it keeps its data in now: "pebble" or "postgres"
	// Address is by which people reach the server; empty: it does not know.
	Address string
	// Pin is by what clients know the server's own certificate; nil: they need
	// not know it.
	Pin *invite.Fingerprint
}

// NewDesk makes the commands of a server. Handle adds more.
func NewDesk(srv *server.Server, about About, log *slog.Logger) *Desk {
	d := &Desk{srv: srv, about: about, log: log, mux: http.NewServeMux()}
	d.Handle("GET /status", d.status)
	d.Handle("GET /users", d.listUsers)
	d.Handle("POST /users/{name}/disable", d.changeUser(srv.Disable))
	d.Handle("POST /users/{name}/enable", d.changeUser(srv.Enable))
	d.Handle("DELETE /users/{name}", d.changeUser(srv.Delete))
	d.Handle("GET /invites", d.listInvites)
	d.Handle("POST /invites", d.createInvite)
	d.Handle("DELETE /invites/{id}", d.revokeInvite)
	return d
}

// Handle adds a command under a pattern of http.ServeMux. An error that answer
// returns before it has written anything reaches whoever asked: an *Error as it
// is, any other as a failure of the server.
func (d *Desk) Handle(pattern string, answer func(http.ResponseWriter, *http.Request) error) {
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		err := answer(w, r)
		if err == nil || errors.Is(err, context.Canceled) {
			return
		}
		refused, ok := errors.AsType[*Error](err)
		status := http.StatusUnprocessableEntity
		if !ok || refused.Kind == KindFailed {
			d.log.Error("a command of the operator failed", "error", err)
			status = http.StatusInternalServerError
		}
		if !ok {
			refused = &Error{KindFailed, "the server could not do it: " + err.Error(), "its log may say more; the command can be repeated"}
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(refused)
	})
}

// Serve answers on the socket until ctx ends, and closes it. Commands in
// progress get a moment to finish.
func (d *Desk) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{Handler: d.mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(l) }()
	select {
	case err := <-failed:
		return errors.Join(err, l.Close())
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := h.Shutdown(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		err = h.Close()
	}
	<-failed
	return errors.Join(err, l.Close())
}

// reply writes an answer as JSON.
func reply(w http.ResponseWriter, answer any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}
