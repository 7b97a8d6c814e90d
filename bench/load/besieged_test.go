package main

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// hurt is a store that becomes slow when the flooding sender has come.
type hurt struct {
	store.Store
	by   time.Duration
	late atomic.Bool // from the first envelope of the flood on
}

func (s *hurt) Submit(ctx context.Context, all []store.Envelope) (store.Pending, error) {
	if len(all[0].Data) >= flooded { // good clients write less
		s.late.Store(true)
	}
	if s.late.Load() {
		<-time.After(s.by)
	}
	return s.Store.Submit(ctx, all)
}

// TestBesiegedTellsWindowsApart: what the attack slows down is measured as such,
// every attack takes place, the server goes along with none of them, and the
// ratio is that of the two figures.
func TestBesiegedTellsWindowsApart(t *testing.T) {
	slow := &hurt{Store: memory.New(), by: 50 * time.Millisecond}
	p, r := small(t, serve(t, slow)), &report{Scenario: "besieged"}
	l, err := besieged(t.Context(), p, r)
	if err != nil {
		t.Fatal(err)
	}
	if r.settle(l); !r.passed() || r.Accepted != p.connections*p.calls*p.envelopes {
		t.Errorf("%d accepted, %d lost, %v", r.Accepted, r.Lost, r.Faults)
	}
	s := r.Siege
	for name, c := range map[string]contrast{"request": s.Request, "delivery": s.Delivery} {
		if c.Alone == nil || c.Attacked == nil || c.Attacked.P50 < 50 || c.Ratio != c.Attacked.P99/max(c.Alone.P99, 0.001) {
			t.Errorf("%s: alone %+v, attacked %+v, ratio %v", name, c.Alone, c.Attacked, c.Ratio)
		}
	}
	for kind := range attacks {
		if did := s.Attacks[kind]; did == "" || strings.HasPrefix(did, "0,") {
			t.Errorf("%s: %q", kind, did)
		}
	}
	for _, kind := range []string{"huge bodies", "logins"} {
		if strings.HasSuffix(s.Attacks[kind], " 0 refused") {
			t.Errorf("%s: the server went along: %s", kind, s.Attacks[kind])
		}
	}
}

// TestWindows: every post is made in exactly one window, in its order.
func TestWindows(t *testing.T) {
	s := &sender{}
	for n := range 23 {
		s.posts = append(s.posts, post{request: request{body: []byte{byte(n)}}})
	}
	var seen []byte
	for n := range 4 {
		part := window([]*sender{s}, n, 4)
		if len(part[0].posts) < 5 {
			t.Errorf("window %d has %d posts", n, len(part[0].posts))
		}
		for _, p := range part[0].posts {
			seen = append(seen, p.body...)
		}
	}
	for n, b := range seen {
		if int(b) != n || len(seen) != 23 {
			t.Fatalf("posts %v", seen)
		}
	}
}
