package postgres

import (
	"context"
	"sync"
)

// room bounds the bytes that wait for the flusher. Who comes first goes first.
type room struct {
	mu      sync.Mutex
	free    int
	waiting []*waiter
}

type waiter struct {
	size int
	in   chan struct{} // closed when there is room
}

// take waits until size bytes have room, and takes it. Whatever is larger than
// all of it counts as all of it.
func (r *room) take(ctx context.Context, size int) error {
	r.mu.Lock()
	if len(r.waiting) == 0 && r.free >= size {
		r.free -= size
		r.mu.Unlock()
		return nil
	}
	w := &waiter{size, make(chan struct{})}
	r.waiting = append(r.waiting, w)
	r.mu.Unlock()
	select {
	case <-w.in:
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.waiting {
		if r.waiting[i] == w {
			r.waiting = append(r.waiting[:i], r.waiting[i+1:]...)
			r.admit()
			return ctx.Err()
		}
	}
	r.free += size // it came in at the same moment
	r.admit()
	return ctx.Err()
}

// give gives room back.
func (r *room) give(size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free += size
	r.admit()
}

func (r *room) admit() {
	for len(r.waiting) > 0 && r.free >= r.waiting[0].size {
		r.free -= r.waiting[0].size
		close(r.waiting[0].in)
		r.waiting = r.waiting[1:]
	}
}
