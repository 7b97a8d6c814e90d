package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// serve runs a server over a store on a loopback port until the test ends.
func serve(t *testing.T, s store.Store) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.New(s, server.Options{OpenRegistration: true}).Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// small is a plan that a test has time for.
func small(t *testing.T, address string) *plan {
	t.Helper()
	p := &plan{
		office: &office{url: address}, connections: 4, mailboxes: 3, envelopes: 2, calls: 20, size: chatSizes,
		perSecond: 200, windows: 1, crowd: 5, server: os.Getpid(), drain: time.Minute, calm: 300 * time.Millisecond,
	}
	if err := p.check(nil, true); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestScenarios: every scenario runs against a real server and finds nothing
// wrong with it, and the report has what the scenario is for.
func TestScenarios(t *testing.T) {
	address := serve(t, memory.New())
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			p, r := small(t, address), &report{Scenario: name}
			p.office.unary = name == "mixed" // all ways are driven
			if name == "online" {
				p.ahead = 7
			}
			l, err := s.run(t.Context(), p, r)
			if err != nil {
				t.Fatal(err)
			}
			r.settle(l)
			if want := p.connections * p.calls * p.envelopes; !r.passed() || name != "idle" && r.Accepted != want {
				t.Errorf("%d of %d accepted, %d lost, %d wrong: %v", r.Accepted, want, r.Lost, r.Wrong, r.Faults)
			}
			if (name == "catchup") != (r.CatchUp != nil) || (name == "idle") != (r.Request == nil) {
				t.Errorf("report: %+v", r)
			}
			if err := r.print(t.Output(), false); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLoadFindsALyingServer: whatever a server does to an envelope that it has
// accepted, a run does not pass.
func TestLoadFindsALyingServer(t *testing.T) {
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liar := &liar{Store: memory.New(), lie: lie}
			p, r := small(t, serve(t, liar)), &report{}
			p.drain = 15 * time.Second          // what was lost never comes
			l, err := stored(t.Context(), p, r) // who is connected is not read to from the store
			if err != nil {
				t.Fatal(err)
			}
			if r.settle(l); r.passed() || liar.told.Load() == 0 {
				t.Errorf("%d lies told, %d lost, %d wrong", liar.told.Load(), r.Lost, r.Wrong)
			}
		})
	}
}

// lies change what a mailbox is read as. They report whether they did.
var lies = map[string]func(after uint64, m []store.Msg) ([]store.Msg, bool){
	"loses": func(_ uint64, m []store.Msg) ([]store.Msg, bool) {
		if len(m) > 3 {
			return append(m[:2], m[3:]...), true
		}
		return m, false
	},
	"garbles": func(_ uint64, m []store.Msg) ([]store.Msg, bool) {
		if len(m) > 0 {
			m[0].Data[len(m[0].Data)-1] ^= 1
		}
		return m, len(m) > 0
	},
	"repeats": func(_ uint64, m []store.Msg) ([]store.Msg, bool) {
		if len(m) < 2 {
			return m, false
		}
		again := m[0]
		again.Seq++
		for i := range m[1:] {
			m[i+1].Seq++
		}
		return append([]store.Msg{m[0], again}, m[1:]...), true
	},
	"swaps": func(_ uint64, m []store.Msg) ([]store.Msg, bool) {
		if len(m) > 1 {
			m[0].ID, m[1].ID = m[1].ID, m[0].ID
			return m, true
		}
		return m, false
	},
}

// liar is a store that tells readers something else than writers.
type liar struct {
	store.Store
	lie  func(after uint64, m []store.Msg) ([]store.Msg, bool)
	told atomic.Int64
}

func (s *liar) Read(ctx context.Context, box store.Box, after uint64, max, maxBytes int) ([]store.Msg, uint64, error) {
	messages, head, err := s.Store.Read(ctx, box, after, max, maxBytes)
	if max == 1 || err != nil {
		return messages, head, err // the look at the head
	}
	messages, lied := s.lie(after, messages)
	if lied {
		s.told.Add(1)
	}
	return messages, head, err
}

func TestCommandLine(t *testing.T) {
	for _, args := range []string{
		"--server nowhere", "--scenario none", "--envelopes 65", "--connections 0", "--rate 0", "stored",
	} {
		if err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
	out := &strings.Builder{}
	address := serve(t, memory.New())
	err := run(t.Context(), strings.Fields("--json --connections 2 --mailboxes 2 --calls 3 --server "+address), out, io.Discard)
	if err != nil || !strings.Contains(out.String(), `"accepted":6,`) {
		t.Errorf("%v: %s", err, out)
	}
	if err := run(t.Context(), []string{"--server", "http://127.0.0.1:1"}, out, io.Discard); err == nil || errors.Is(err, errFailed) {
		t.Errorf("no server: %v", err)
	}
}
