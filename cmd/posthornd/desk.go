package main

import (
	"context"
	"log/slog"

	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/admin"
)

// openDesk answers the operator's commands on the socket in the data folder
// until the returned function is called.
func openDesk(data string, desk *admin.Desk) (closeDesk func() error, err error) {
	socket, err := admin.Listen(data)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- desk.Serve(ctx, socket) }()
	return func() error {
		cancel()
		return <-ended
	}, nil
}

// newDesk is the desk of this program.
func newDesk(srv *server.Server, storeName string, log *slog.Logger) *admin.Desk {
	return admin.NewDesk(srv, admin.About{Version: thisVersion().Version, Store: storeName}, log)
}
