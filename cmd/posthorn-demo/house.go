package main

import (
	"context"
	"errors"
	"net"

	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// house is a running server with its store.
type house struct {
	url    string
	store  *pebble.Store
	stop   context.CancelFunc
	served chan error
}

// openServer starts a server on a free loopback port with its data in folder.
func openServer(folder string) (*house, error) {
	store, err := pebble.Open(folder, pebble.Options{})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &house{url: "http://" + listener.Addr().String(), store: store, stop: stop, served: make(chan error, 1)}
	go func() { h.served <- server.New(store, server.Options{OpenRegistration: true}).Serve(ctx, listener) }()
	return h, nil
}

// close stops the server, then its store.
func (h *house) close() error {
	h.stop()
	return errors.Join(<-h.served, h.store.Close())
}
