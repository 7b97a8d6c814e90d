package store

import "time"

// Latency is how long something took, as a histogram.
type Latency struct {
	Count  uint64          // how often
	Sum    time.Duration   // all together
	Bounds []time.Duration // upper bounds, ascending
	Counts []uint64        // for each bound: how often it took at most that long
}

// Timed is a store that measures how long its disk takes.
type Timed interface {
	// SyncLatency is how long the syncs have taken since the store was opened.
	// Without bounds it says nothing.
	SyncLatency() Latency
}
