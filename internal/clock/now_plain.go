//go:build !testhooks

package clock

import "time"

// Now is the product's time.
func Now() time.Time { return time.Now() }

// Nap is how long a loop that waits for product time may sleep before it looks
// at Now again: as long as it wants to.
func Nap(d time.Duration) time.Duration { return d }
