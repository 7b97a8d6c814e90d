package server

import (
	"sync"
	"time"

	"github.com/posthorn/posthorn/account"
)

const (
	// fetchWindow is the time in which the fetches of a bundle are counted.
	fetchWindow = time.Hour
	// manyFetches is how many of them are unusual. A device renews its bundle
	// once a week, and each of its contacts needs it once for a session.
	manyFetches = 1000
)

// fetches watches how often bundles are asked for. Everybody gets the same
// bundle, so fetching takes nothing away, and one account that does it over and
// over is slowed down. All accounts together are only counted, and the device
// is told: a bound on them would make it unreachable for its friends.
type fetches struct {
	pairs *limiter // by account and device

	mu     sync.Mutex
	counts map[deviceName]fetchCount
}

type fetchCount struct {
	began time.Time
	n     uint64
	told  bool
}

func newFetches(pair Rate) *fetches {
	return &fetches{pairs: newLimiter(pair), counts: map[deviceName]fetchCount{}}
}

// allow counts a fetch, and refuses one by an account that has had this bundle
// too often.
func (f *fetches) allow(by account.ID, device deviceName, now time.Time) error {
	f.count(device, now)
	return f.pairs.allow(string(by[:])+string(device[:]), now)
}

func (f *fetches) count(device deviceName, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, known := f.counts[device]
	if !known && len(f.counts) >= maxTracked {
		clear(f.counts)
	}
	if age := now.Sub(c.began); age < 0 || age >= fetchWindow {
		c = fetchCount{began: now}
	}
	c.n++
	f.counts[device] = c
}

// unusual returns, once in a window, how often a device's bundle was asked for
// in it, if that is unusual; else 0.
func (f *fetches) unusual(device deviceName) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.counts[device]
	if c.n < manyFetches || c.told {
		return 0
	}
	c.told = true
	f.counts[device] = c
	return c.n
}
