package client

import (
	"context"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
)

// inquirer asks one server about names and holds its answers against the log,
// with what the profile keeps of that. A Client has one; so does a device that is
// on its way onto an account and has no identity yet.
type inquirer struct {
	home   string
	db     *localdb.DB
	server *transport.Client
	watch  *watch
}

// update runs one read-write transaction.
func (q *inquirer) update(ctx context.Context, f func(*localdb.Tx) error) error {
	return q.db.Update(ctx, f)
}

// view runs one read-only transaction.
func (q *inquirer) view(ctx context.Context, f func(*localdb.Tx) error) error {
	return q.db.View(ctx, f)
}
