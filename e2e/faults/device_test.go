//go:build linux && amd64

package faults

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/client/transport/newcomer"
)

// device is somebody with one device, and the bundles it publishes in turn.
type device struct {
	newcomer.Device
	name account.Name
	line *transport.Client
	h2c  bool // speaks HTTP/2
}

// newDevice makes keys; no server knows them yet. They serve in many runs.
func newDevice(t testing.TB, name account.Name, bundles int) *device {
	t.Helper()
	return &device{Device: newcomer.New(t, bundles), name: name}
}

// connect points the device at a server.
func (d *device) connect(t testing.TB, url string) {
	t.Helper()
	if d.line != nil {
		d.line.Close()
	}
	line, err := transport.New(url, d.Device.Device, transport.Options{H2C: d.h2c})
	if err != nil {
		t.Fatal(err)
	}
	d.line = line
}

// bounded is a context for one step of a run.
func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// envelope is a new message for the device, of so many bytes.
func (d *device) envelope(size int) transport.Envelope {
	e := transport.Envelope{Account: d.Account, Device: d.ID, Payload: make([]byte, max(size, 8))}
	_, _ = rand.Read(e.ID[:])
	_, _ = rand.Read(e.Payload)
	binary.BigEndian.PutUint32(e.Payload, uint32(len(e.Payload)))
	return e
}

// fetch reads what is stored for the device.
func (d *device) fetch() (all []transport.Delivery, err error) {
	ctx, cancel := bounded()
	defer cancel()
	stream, err := d.line.Receive(ctx)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	for {
		batch, err := stream.Next()
		if err != nil {
			return all, err
		}
		all = append(all, batch.Deliveries...)
		if batch.CaughtUp {
			return all, nil
		}
	}
}
