package pq3test

import (
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
)

// PrekeyMap is pq3.Prekeys in memory.
type PrekeyMap map[account.BundleHash]*pq3.Prekey

// Prekey looks a private half up.
func (m PrekeyMap) Prekey(hash account.BundleHash) (*pq3.Prekey, bool) {
	p, ok := m[hash]
	return p, ok
}

// ReplayLog is pq3.ReplayCache in memory.
type ReplayLog struct{ starts []start }

type start struct {
	key    pq3.ReplayKey
	bundle account.BundleHash
	device account.DeviceID
	at     time.Time
}

// Add remembers an accepted start.
func (l *ReplayLog) Add(a *pq3.Accepted, device account.DeviceID, at time.Time) {
	l.starts = append(l.starts, start{a.Replay, a.Bundle, device, at})
}

// Seen reports whether a start was accepted before.
func (l *ReplayLog) Seen(key pq3.ReplayKey) bool {
	return l.count(func(s start) bool { return s.key == key }) > 0
}

// BundleStarts counts the starts under a bundle.
func (l *ReplayLog) BundleStarts(bundle account.BundleHash) int {
	return l.count(func(s start) bool { return s.bundle == bundle })
}

// DeviceStarts counts the starts from a device since a time.
func (l *ReplayLog) DeviceStarts(device account.DeviceID, since time.Time) int {
	return l.count(func(s start) bool { return s.device == device && !s.at.Before(since) })
}

func (l *ReplayLog) count(match func(start) bool) (n int) {
	for _, s := range l.starts {
		if match(s) {
			n++
		}
	}
	return n
}
