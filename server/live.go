package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/server/store"
)

// live knows the streams that devices have open at this node, so that they end
// when a device is shut out.
type live struct {
	mu      sync.Mutex
	streams map[store.Box]map[*func()]bool // what ends them
}

// errShutOut ends the context of a stream whose device was shut out.
var errShutOut = errors.New("server: the device was shut out")

// shutOutEvery is how often the streams at this node are held against the
// store, for devices that were shut out at another.
const shutOutEvery = 30 * time.Second

func newLive() *live { return &live{streams: map[store.Box]map[*func()]bool{}} }

// track gives a stream a context that ends when its device is shut out from now
// on. The second result is called when the stream is over.
func (l *live) track(ctx context.Context, box store.Box) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	end := func() { cancel(errShutOut) }
	l.mu.Lock()
	if l.streams[box] == nil {
		l.streams[box] = map[*func()]bool{}
	}
	l.streams[box][&end] = true
	l.mu.Unlock()
	return ctx, func() {
		cancel(nil)
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.streams[box], &end)
		if len(l.streams[box]) == 0 {
			delete(l.streams, box)
		}
	}
}

// end ends all streams of a mailbox.
func (l *live) end(box store.Box) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for end := range l.streams[box] {
		(*end)()
	}
}

// watch ends streams of devices that were shut out at another node.
func (l *live) watch(ctx context.Context, s store.Store) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(clock.Nap(shutOutEvery)):
		}
		l.compare(ctx, s)
	}
}

// compare is one round of watch. What cannot be read is left to the next.
func (l *live) compare(ctx context.Context, s store.Store) {
	for _, box := range l.boxes() {
		if r, _, err := readLogins(ctx, s, box); err == nil && r.closed {
			l.end(box)
		}
	}
}

func (l *live) boxes() (all []store.Box) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for box := range l.streams {
		all = append(all, box)
	}
	return all
}
