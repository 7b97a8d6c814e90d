package account

import "time"

// tooEarly reports whether now is more than ClockSkew before start. The
// differences below never overflow, whatever a peer put into start or end.
func tooEarly(start uint64, now time.Time) bool {
	at := millis(now)
	return at < start && start-at > uint64(ClockSkew.Milliseconds())
}

// tooLate reports whether now is more than ClockSkew after end.
func tooLate(end uint64, now time.Time) bool {
	at := millis(now)
	return at > end && at-end > uint64(ClockSkew.Milliseconds())
}

// millis gives Unix milliseconds; every time before 1970 counts as 1970.
func millis(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }
