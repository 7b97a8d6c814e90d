// Package harvest is what an attacker collects and keeps: every byte on every
// wire, and what the server stores. It holds bytes and the outside of
// envelopes, never a key or a plaintext that was not stored as one.
package harvest

import (
	"bytes"
	"sync"
	"time"
)

// Frame is one message as it crossed the wires: from its sender to the server
// and from there to its receiver. An eavesdropper sees both, and between whom.
type Frame struct {
	Number   int // in the order of sending, from 0
	At       time.Time
	From, To string // devices
	Up       []byte // sender to server
	Down     []byte // server to receiver; nil if it was lost before that
}

// Crossing is something else on a wire: what the server says to a device, what
// a device publishes, what the server hands out. All of it is public.
type Crossing struct {
	At       time.Time
	From, To string
	Kind     string
	Bytes    []byte
}

// Recording is everything that crossed a wire. Add to it while a conversation
// runs; after that it is safe for concurrent reading.
type Recording struct {
	Frames    []Frame
	Crossings []Crossing

	mu    sync.Mutex
	holds map[string]bool
}

// Holds reports whether a value lies somewhere in the recording.
func (r *Recording) Holds(value []byte) bool {
	if r == nil || len(value) == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	held, known := r.holds[string(value)]
	if !known {
		held = r.search(value)
		if r.holds == nil {
			r.holds = map[string]bool{}
		}
		r.holds[string(value)] = held
	}
	return held
}

func (r *Recording) search(value []byte) bool {
	for i := range r.Crossings {
		if bytes.Contains(r.Crossings[i].Bytes, value) {
			return true
		}
	}
	for i := range r.Frames {
		if bytes.Contains(r.Frames[i].Up, value) || bytes.Contains(r.Frames[i].Down, value) {
			return true
		}
	}
	return false
}

// Without is the recording less the frames that leave selects, as if the
// eavesdropper had missed them.
func (r *Recording) Without(leave func(Frame) bool) *Recording {
	rest := &Recording{Crossings: r.Crossings}
	for _, f := range r.Frames {
		if !leave(f) {
			rest.Frames = append(rest.Frames, f)
		}
	}
	return rest
}

// Kept is one message in the form in which the server stores it.
type Kept struct {
	Number   int // of its frame
	From, To string
	Bytes    []byte
}

// Server is what the server stores: a copy of each message, and its own state.
type Server struct {
	Messages []Kept
	State    []byte
}
