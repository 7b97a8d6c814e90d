package client

import (
	"context"
	"net"
	"testing"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/blob/dir"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// cheapKDF keeps tests from spending their time on Argon2.
var cheapKDF = localdb.KDF{Time: 1, MemoryKiB: 8, Threads: 1}

// office is posthornd in this process. Closing and opening it again is a
// restart: the store stays, the tokens are gone, the address is the same.
type office struct {
	t       *testing.T
	store   store.Store
	url     string
	address string
	blobs   string // folder of attachments; empty: none are kept
	limits  server.Limits
	end     context.CancelFunc
	ended   chan error
}

func openOffice(t *testing.T) *office {
	o := &office{t: t, store: memory.New(), address: machine.Address(t), blobs: t.TempDir()}
	o.open()
	o.url = "http://" + o.address
	t.Cleanup(func() {
		o.close()
		if err := o.store.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return o
}

func (o *office) open() {
	o.t.Helper()
	l, err := net.Listen("tcp", o.address)
	if err != nil {
		o.t.Fatal(err)
	}
	o.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	o.end, o.ended = cancel, make(chan error, 1)
	options := server.Options{OpenRegistration: true, Limits: o.limits}
	if o.blobs != "" {
		if options.Blobs, err = dir.Open(o.blobs); err != nil {
			o.t.Fatal(err)
		}
	}
	srv := server.New(o.store, options)
	go func() { o.ended <- srv.Serve(ctx, l) }()
}

// close stops the server; a second call does nothing.
func (o *office) close() {
	o.t.Helper()
	if o.end == nil {
		return
	}
	o.end()
	if err := <-o.ended; err != nil {
		o.t.Errorf("serve: %v", err)
	}
	o.end = nil
}
