// Package compromise copies a device: its whole stored state, as a thief, a
// border search or a piece of spyware takes it, at one moment of a
// conversation.
package compromise

import (
	"bytes"
	"time"
)

// Seized is the stored state of one device at one moment.
type Seized struct {
	Device string
	At     time.Time
	State  []byte // as the device stores it
}

// Holds reports whether a value lies in the state.
func (s Seized) Holds(value []byte) bool { return bytes.Contains(s.State, value) }
