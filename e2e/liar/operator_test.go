package liar

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// operator has a real server with a real log, and all keys.
type operator struct {
	t      testing.TB
	store  store.Store
	keys   string // the folder
	log    *ktlog.Log
	server *server.Server
	url    string
	policy []byte       // witnesses, as the operator writes it
	shift  atomic.Int64 // of the log's clock, as a duration
}

// patience bounds what a test waits for.
const patience = 5 * time.Minute

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// newOperator starts a server whose log asks for the witnesses of a policy;
// without one for none.
func newOperator(t testing.TB, witnesses []byte) *operator {
	t.Helper()
	o := &operator{t: t}
	o.start(witnesses)
	return o
}

func (o *operator) start(witnesses []byte) {
	t := o.t
	t.Helper()
	o.store, o.keys, o.policy = memory.New(), filepath.Join(t.TempDir(), "keys"), witnesses
	t.Cleanup(func() { _ = o.store.Close() })
	o.log = o.open(o.store)
	o.server = server.New(o.store, server.Options{OpenRegistration: true, Transparency: o.log})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- o.server.Serve(ctx, l) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	o.server.Prepare(within(t))
	o.url = "http://" + l.Addr().String()
}

// open opens a log with the operator's keys over some records.
func (o *operator) open(records ktlog.Records) *ktlog.Log {
	o.t.Helper()
	l, err := ktlog.Open(within(o.t), ktlog.Options{
		Folder: filepath.Join(o.t.TempDir(), "kt"), KeysFolder: o.keys, Records: records, Witnesses: o.policy,
		Interval: time.Millisecond, Now: o.now,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = l.Close() })
	if err := l.Wait(within(o.t)); err != nil {
		o.t.Fatal(err)
	}
	return l
}

func (o *operator) now() time.Time { return time.Now().Add(time.Duration(o.shift.Load())) }

// ahead moves the log's clock to now and an offset, and has it sign something new.
func (o *operator) ahead(offset time.Duration) {
	o.t.Helper()
	o.shift.Store(int64(offset))
	publish(o.t, o.log, newPuppet(o.t, account.Name(fmt.Sprintf("later%d", offset/time.Hour))).record())
}

// fork is a second log that has all of the first so far and goes its own way:
// the same keys over a copy of the records.
func (o *operator) fork() *ktlog.Log {
	o.t.Helper()
	copied := memory.New()
	o.t.Cleanup(func() { _ = copied.Close() })
	after := ""
	for {
		page, err := o.store.Scan(within(o.t), "kt/", after, 100)
		if err != nil {
			o.t.Fatal(err)
		}
		for _, row := range page {
			if _, err := copied.CAS(within(o.t), row.Key, 0, row.Val); err != nil {
				o.t.Fatal(err)
			}
			after = row.Key
		}
		if len(page) < 100 {
			return o.open(copied)
		}
	}
}

// publish puts a record into a log.
func publish(t testing.TB, l *ktlog.Log, r kt.Record) {
	t.Helper()
	if err := l.Publish(within(t), r); err != nil {
		t.Fatal(err)
	}
}
