// Package bus carries short messages between the nodes of one server, over the
// core of NATS. It promises nothing: a message may be lost, doubled, late or
// forged by whoever runs the bus, so what travels on it is sealed by the
// sender, and whoever needs certainty reads the store.
package bus

import "errors"

// ErrAddress says that a bus cannot be reached under an address of this form.
var ErrAddress = errors.New("bus: the address cannot be used")

// ErrFiles says that a file with credentials or certificates cannot be used.
var ErrFiles = errors.New("bus: a file with credentials or certificates cannot be used")

// Bus is a way to the other nodes. Its methods may be called from many
// goroutines, and none of them waits for the network.
type Bus interface {
	// Join starts to receive what is sent to node, and what others broadcast.
	// It returns when the bus will be tried for ever, not when it is reached.
	Join(node string, in Receiver) error
	// Send sends a message to one node, Broadcast to all others. A message that
	// cannot leave soon is dropped. The bus keeps the slice.
	Send(node string, message []byte)
	Broadcast(message []byte)
	// Lost counts what may have been lost on the way out since the start: it
	// rises with every message that was dropped and every broken connection.
	Lost() uint64
	// Reached counts how often a connection was made since the start.
	Reached() uint64
	// Up tells whether the bus is connected, as far as it has noticed.
	Up() bool
	// Close ends the connection. Nothing is received once it returns.
	Close()
}

// Receiver gets what arrives. Its methods may be called from more than one
// goroutine, and must not wait for the network.
type Receiver interface {
	// Receive takes a message of any sender. It may keep the slice.
	Receive(message []byte)
	// Disturbed says that messages may have been lost, or may be from now on.
	Disturbed()
}
