package server

import (
	"sync"
	"time"

	"github.com/posthorn/posthorn/server/store"
)

// hub hands what was stored in a mailbox to its delivery stream, if this node
// has it. What it drops, doubles or brings late costs a read and nothing more:
// the stream takes an envelope from here only when it is the very next one.
type hub struct {
	mu      sync.Mutex
	streams map[store.Box]*listener
}

const (
	// queuedEnvelopes and queuedBytes bound what waits for one stream. A device
	// that reads more slowly than others send goes back to reading the store.
	queuedEnvelopes = 64
	queuedBytes     = 256 << 10
)

// listener is one open delivery stream.
type listener struct {
	wake     chan struct{} // holds at most one signal
	replaced chan struct{} // closed when a newer stream takes over
	began    time.Time
	news     news // guarded by the hub
}

// news is what a stream has been told since it last asked.
type news struct {
	queue  []store.Msg // in the order of arrival
	size   int         // bytes in queue
	behind bool        // more was stored than is in queue
	alarm  bool        // something may have been stored that nobody told of
}

func newHub() *hub { return &hub{streams: map[store.Box]*listener{}} }

// listen registers a stream and ends the one before it.
func (h *hub) listen(box store.Box, now time.Time) *listener {
	l := &listener{began: now, wake: make(chan struct{}, 1), replaced: make(chan struct{})}
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

// end ends the stream of a mailbox, if it is older than one that began at
// another node. The news of that may come late, when the device is back here.
func (h *hub) end(box store.Box, began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.streams[box]; l != nil && l.began.Before(began) {
		close(l.replaced)
		delete(h.streams, box)
	}
}

// push hands over an envelope that is stored. Without Data it only says that
// there is one. The hub keeps the bytes until the stream has taken them.
func (h *hub) push(box store.Box, m store.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.streams[box]
	if l == nil {
		return
	}
	n := &l.news
	if n.behind || len(m.Data) == 0 || len(n.queue) >= queuedEnvelopes || n.size+len(m.Data) > queuedBytes {
		*n = news{behind: true, alarm: n.alarm}
	} else {
		n.queue = append(n.queue, m)
		n.size += len(m.Data)
	}
	l.signal()
}

// alarm makes every stream look for itself.
func (h *hub) alarm() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.streams {
		l.news.alarm = true
		l.signal()
	}
}

// take gives a stream its news, once.
func (h *hub) take(l *listener) news {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := l.news
	l.news = news{}
	return n
}

func (l *listener) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
