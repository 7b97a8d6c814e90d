package client

import "sync"

// events tells waiting goroutines that something in the profile changed.
type events struct {
	arrived chan struct{} // holds at most one signal: a new message to show

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
}

func newEvents() *events {
	return &events{arrived: make(chan struct{}, 1), changed: make(chan struct{})}
}

// change returns a channel that closes at the next change. Take it before
// looking at the state, or the change in between is missed.
func (e *events) change() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changed
}

// announce wakes everybody who waits for a change.
func (e *events) announce() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.changed)
	e.changed = make(chan struct{})
}

// arrive signals a new message. Signals that nobody took yet merge.
func (e *events) arrive() {
	select {
	case e.arrived <- struct{}{}:
	default:
	}
}

// Changed returns a channel that closes at the next change of the profile by a
// connection: a message, a notice, or a step of something. Take it before looking.
func (c *Client) Changed() <-chan struct{} { return c.events.change() }

// Arrived yields a signal after new messages were stored. Several messages may
// share one signal, so read the inbox until it is empty.
func (c *Client) Arrived() <-chan struct{} { return c.events.arrived }
