package main

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"time"

	"github.com/posthorn/posthorn/internal/clock"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// epochs are how far the entries of the demo's log are apart at least: two people
// need not wait as long for each other as a thousand do.
const epochs = 20 * time.Millisecond

// house is a running server with its store and its transparency log.
type house struct {
	url    string
	store  *pebble.Store
	log    *ktlog.Log // nil where the system cannot keep one
	stop   context.CancelFunc
	served chan error
}

// openServer starts a server on a free loopback port with its data in folder.
func openServer(ctx context.Context, folder string) (_ *house, err error) {
	h := &house{served: make(chan error, 1)}
	if h.store, err = pebble.Open(filepath.Join(folder, "store"), pebble.Options{}); err != nil {
		return nil, err
	}
	if err := h.openLog(ctx, folder); err != nil {
		return nil, errors.Join(err, h.store.Close())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, h.shut())
	}
	h.url = "http://" + listener.Addr().String()
	srv := server.New(h.store, server.Options{OpenRegistration: true, Transparency: h.log})
	serving, stop := context.WithCancel(context.Background())
	h.stop = stop
	go func() { h.served <- srv.Serve(serving, listener) }()
	srv.Prepare(ctx)
	return h, nil
}

// openLog opens the log, where the system can keep one.
func (h *house) openLog(ctx context.Context, folder string) (err error) {
	h.log, err = ktlog.Open(ctx, ktlog.Options{
		Folder: filepath.Join(folder, "log"), KeysFolder: filepath.Join(folder, "log-keys"),
		Records: h.store, Interval: epochs, Now: clock.Now,
	})
	if errors.Is(err, ktlog.ErrPlatform) {
		h.log = nil
		return nil
	}
	return err
}

// close stops the server, then what it stands on.
func (h *house) close() error {
	h.stop()
	return errors.Join(<-h.served, h.shut())
}

func (h *house) shut() (err error) {
	if h.log != nil {
		err = h.log.Close()
	}
	return errors.Join(err, h.store.Close())
}
