package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/pq3"
)

// device is one device of one account on the server under test.
type device struct {
	*pq3.Identity
	prekey *pq3.Prekey
	client *transport.Client
	stub   *stub // the prepared way in, for what is measured
	wire   *wire // the same with one call for all requests; nil: each is a call
}

// call sends one prepared request, and waits for its answer.
func (d *device) call(ctx context.Context, r request) (status int, body []byte, err error) {
	if d.wire != nil {
		return d.wire.call(ctx, r)
	}
	return d.stub.call(ctx, r)
}

// ready connects, as call would.
func (d *device) ready(ctx context.Context) error {
	if d.wire != nil {
		return d.wire.ready(ctx)
	}
	return d.stub.ready(ctx)
}

// office is the server under test, as devices see it.
type office struct {
	url     string
	address *url.URL
	h2c     bool // streams over HTTP/2 without TLS
	unary   bool // each request is a call, instead of one stream for all
}

// enrol makes n devices, each with an account of its own, and registers them.
// A few at a time: their keys are made on the cores that the server needs.
func (o *office) enrol(ctx context.Context, prefix string, n int) ([]*device, error) {
	const atOnce = 8
	devices := make([]*device, n)
	failed := make(chan error, n)
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range devices {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			var err error
			if devices[i], err = o.newDevice(ctx, fmt.Sprintf("%s%s", prefix, suffix())); err != nil {
				failed <- err
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		return devices, err
	default:
		return devices, nil
	}
}

// suffix makes names free on a server that has seen other runs.
func suffix() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (o *office) newDevice(ctx context.Context, name string) (*device, error) {
	entropy, now := pq3.SystemEntropy(), time.Now()
	key, _ := account.GenerateSigningKey(entropy.Read)
	record := &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: uint64(now.UnixMilli())}
	entropy.Read(record.ID[:])
	statement, err := account.NewAccount(record, key, uint64(now.UnixMilli()), entropy.SignReader())
	if err != nil {
		return nil, err
	}
	roster, err := account.StartRoster(statement)
	if err != nil {
		return nil, err
	}
	d := &device{}
	if d.Identity, err = pq3.NewIdentity(account.Party{Account: roster.ID(), Device: record}, key); err != nil {
		return nil, err
	}
	if d.prekey, err = pq3.NewPrekey(d.Identity, account.PQ3A, now.Add(-time.Minute), now.Add(24*time.Hour), entropy); err != nil {
		return nil, err
	}
	d.client, err = transport.New(o.url, transport.Device{Account: roster.ID(), ID: record.ID, Key: key, Rand: entropy.SignReader()}, transport.Options{H2C: o.h2c})
	if err != nil {
		return nil, err
	}
	d.stub = newStub(o.address, d, key)
	if !o.unary {
		d.wire = &wire{stub: newStub(o.address, d, key)}
	}
	return d, d.register(ctx, account.Name(name), statement)
}

// register waits out the server's limits: many devices come from one address.
func (d *device) register(ctx context.Context, name account.Name, statement *account.Statement) error {
	for {
		err := d.client.Register(ctx, name, statement.Marshal(), d.prekey.Bundle().Marshal())
		pause, limited := retryAfter(err)
		if !limited {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
