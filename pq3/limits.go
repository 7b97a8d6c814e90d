package pq3

import "time"

// The bounds of SPEC §10. They are part of the protocol: both ends must agree
// on them, so none is an option.
const (
	// MaxMessage is the greatest length of a message on the wire, in bytes. It
	// leaves room for a 64 KiB text with every object on board.
	MaxMessage = 128 << 10

	// maxChain is the number of messages a sending chain may hold. An index at
	// or above it is refused, which also bounds the work of skipping ahead.
	maxChain = 500

	// maxSkipped is the number of skipped message keys kept in a session. It
	// covers two whole chains and bounds what a thief of the store can find.
	maxSkipped = 1024

	// skippedLife is how long a skipped key waits for its message.
	skippedLife = 14 * 24 * time.Hour

	// largeCiphertext is the ciphertext length in bytes from which a message
	// always carries the objects of its chain: at that size they are cheap.
	largeCiphertext = 4 << 10

	// maxSessions is the number of live sessions with one peer device.
	maxSessions = 3

	// clockSkew is how far two honest clocks may differ.
	clockSkew = 5 * time.Minute

	// maxStartAge is how old a session start may be on arrival: the time for
	// which a server keeps an undelivered envelope.
	maxStartAge = 30 * 24 * time.Hour

	// maxDeviceStarts is how many session starts one peer device may have
	// accepted in 24 hours.
	maxDeviceStarts = 20

	// maxBundleStarts is how many session starts one bundle may see before its
	// owner must rotate it; from then on it accepts none.
	maxBundleStarts = 65536

	// maxControlAge is how old a control message may be.
	maxControlAge = 24 * time.Hour

	// BundleLife is the longest validity of a prekey bundle.
	BundleLife = 30 * 24 * time.Hour

	// PrekeyRetention is how long after a bundle's end its private half is
	// kept: an envelope may wait 30 days, and clocks differ.
	PrekeyRetention = 30*24*time.Hour + 10*time.Minute

	// SupersededLife is how long a session that is no longer sent on still
	// receives.
	SupersededLife = 14 * 24 * time.Hour
)
