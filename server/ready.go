package server

import (
	"errors"
	"io"
	"net/http"

	"github.com/posthorn/posthorn/server/store"
)

// errStopping says that the server is on its way out.
var errStopping = errors.New("the server is stopping")

// Ready is nil while the server takes calls and can carry them out: its store
// accepts writes, what Options.Ready asks for is there, and it is not stopping.
func (srv *Server) Ready() error {
	select {
	case <-srv.stopping:
		return errStopping
	default:
	}
	if err := srv.store.Err(); err != nil {
		return err
	}
	if srv.options.Ready != nil {
		if err := srv.options.Ready(); err != nil {
			return err
		}
	}
	return srv.logReady()
}

// Healthy is nil unless a restart or a repair is needed: an embedded store has
// stopped. A database that is away, and a store that is being moved, come back
// by themselves; whoever restarted the server for that would make it worse.
func (srv *Server) Healthy() error {
	if err := srv.store.Err(); !errors.Is(err, store.ErrPassing) {
		return err
	}
	return nil
}

// healthz answers 200 while the process can do its work.
func (srv *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	answerHealth(w, srv.Healthy(), "the store accepts no writes")
}

// readyz answers 200 while new callers are welcome.
func (srv *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	answerHealth(w, srv.Ready(), "not ready")
}

// answerHealth keeps the cause to itself: it may name files.
func answerHealth(w http.ResponseWriter, err error, text string) {
	if err != nil {
		http.Error(w, text, http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}
