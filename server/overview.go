package server

import (
	"context"

	"github.com/posthorn/posthorn/server/store"
)

// Stats counts what the server keeps.
func (srv *Server) Stats(ctx context.Context) (store.Stats, error) { return srv.store.Stats(ctx) }

// Limits are the bounds in force.
func (srv *Server) Limits() Limits {
	l := srv.options.Limits
	if l.Mailbox.Envelopes == 0 {
		l.Mailbox.Envelopes = store.DefaultEnvelopes
	}
	if l.Mailbox.Bytes == 0 {
		l.Mailbox.Bytes = store.DefaultBytes
	}
	return l
}
