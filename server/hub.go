package server

import (
	"sync"

	"github.com/posthorn/posthorn/server/store"
)

// hub wakes the delivery stream of a mailbox when something was stored in it.
// It carries no envelopes: the stream reads them from the store, so a missed
// or doubled wake-up costs nothing.
type hub struct {
	mu      sync.Mutex
	streams map[store.Box]*listener
}

// listener is one open delivery stream.
type listener struct {
	wake     chan struct{} // holds at most one signal
	replaced chan struct{} // closed when a newer stream takes over
}

func newHub() *hub { return &hub{streams: map[store.Box]*listener{}} }

// listen registers a stream and ends the one before it.
func (h *hub) listen(box store.Box) *listener {
	l := &listener{wake: make(chan struct{}, 1), replaced: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	if older := h.streams[box]; older != nil {
		close(older.replaced)
	}
	h.streams[box] = l
	return l
}

// leave removes a stream, and reports whether it was still the newest.
func (h *hub) leave(box store.Box, l *listener) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[box] != l {
		return false
	}
	delete(h.streams, box)
	return true
}

// wake signals the stream of a mailbox, if there is one.
func (h *hub) wake(box store.Box) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.streams[box]; l != nil {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}
