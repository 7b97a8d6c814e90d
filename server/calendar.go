package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/server/store"
)

// calendar knows how far the clock got ahead of the time that really went by.
// Mail waits for the retention time, and what is older is deleted unread; so a
// clock that jumps ahead by ten years must not make all mail ten years old, and
// one that is set right must not age what arrived while it was behind.
//
// Whenever the clock of a server that runs gets ahead of the time that went by,
// or a server starts after longer than a machine is likely to have been off, the
// calendar notes a gap. A gap counts as grace, which is added to every retention time,
// until the server has run for a retention time since. Then nothing from before
// the gap is left that has not waited for long enough. A clock that goes back
// needs no grace: mail looks younger than it is, and waits longer.
//
// The record is in the store, for all nodes. It is for many goroutines.
type calendar struct {
	store     store.Store
	retention time.Duration
	log       *slog.Logger

	now func() time.Time // the clock
	ran func() time.Time // elapsed time, which does not jump

	mu     sync.Mutex
	wall   time.Time // the clock when it was last found right
	mono   time.Time // elapsed time at that moment
	turned time.Time // elapsed time at the last turn; zero before the first
	gaps   []gap     // in the store
	fresh  []gap     // not yet in the store
}

const (
	// calendarKey is where the store has the record.
	calendarKey = "cluster/clock"
	// clockSlip is what a clock may be off between two turns without being
	// noted: clocks are set by the network all the time.
	clockSlip = time.Minute
	// plausibleOutage is how long a server may have been off for its clock to be
	// believed when it starts: that time counts, as a promise to keep mail for so
	// many days is understood. A clock that is further ahead is more likely wrong.
	plausibleOutage = 180 * 24 * time.Hour
	// maxGrace is where grace stops to grow.
	maxGrace = 100 * 365 * 24 * time.Hour
)

func newCalendar(s store.Store, retention time.Duration, log *slog.Logger) *calendar {
	c := &calendar{store: s, retention: retention, log: log, now: clock.Now, ran: elapsed}
	c.wall, c.mono = c.now(), c.ran()
	return c
}

// elapsed is the time that does not jump.
func elapsed() time.Time { return time.Now() }

// grace is what to add to a retention time at this moment.
func (c *calendar) grace() (sum time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	for _, g := range slices.Concat(c.gaps, c.fresh) {
		sum = min(maxGrace, sum+g.size)
	}
	return sum
}

// begun reports whether there was a turn.
func (c *calendar) begun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.turned.IsZero()
}

// look notes a jump of the clock. The caller holds mu.
func (c *calendar) look() {
	now, ran := c.now(), c.ran()
	ahead := now.Round(0).Sub(c.wall.Round(0)) - ran.Sub(c.mono)
	if ahead.Abs() <= clockSlip {
		return
	}
	c.log.Warn("the clock jumped; no mail expires early for it", "by", ahead.Round(time.Second).String())
	c.wall, c.mono = now, ran
	if ahead > 0 {
		c.fresh = append(c.fresh, gap{min(ahead, maxGrace), c.retention})
	}
}

// turn is called at the start, before each round of sweeping and at the end. It
// brings together what the store has and what this node has seen, and returns
// the grace. Nothing may expire while it fails.
func (c *calendar) turn(ctx context.Context) (time.Duration, error) {
	for {
		kept, version, err := c.read(ctx)
		if err != nil {
			return 0, err
		}
		next, done := c.advance(kept)
		_, err = c.store.CAS(ctx, calendarKey, version, next.marshal())
		if errors.Is(err, store.ErrVersion) {
			continue // another node was quicker
		}
		if err != nil {
			return 0, err
		}
		done()
		return c.grace(), nil
	}
}

func (c *calendar) read(ctx context.Context) (clockRecord, uint64, error) {
	value, version, err := c.store.Get(ctx, calendarKey)
	if errors.Is(err, store.ErrNotFound) {
		return clockRecord{}, 0, nil
	}
	if err != nil {
		return clockRecord{}, 0, err
	}
	r, err := parseClockRecord(value)
	return r, version, err
}

// advance is the record that follows another, and what to do once it is stored.
func (c *calendar) advance(kept clockRecord) (next clockRecord, done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	now, ran := c.now(), c.ran()
	fresh := slices.Clone(c.fresh)
	passed := max(0, now.Sub(kept.at))
	if c.turned.IsZero() {
		if !kept.at.IsZero() && passed > plausibleOutage {
			fresh = append(fresh, gap{min(passed, maxGrace), c.retention})
		}
		passed = 0
	} else {
		passed = min(passed, ran.Sub(c.turned)) // other nodes have counted the rest
	}
	next = clockRecord{at: now}
	for _, g := range kept.gaps {
		if g.left -= passed; g.left > 0 {
			next.gaps = append(next.gaps, g)
		}
	}
	next.gaps = condense(append(next.gaps, fresh...))
	noted := len(c.fresh)
	return next, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gaps, c.fresh = next.gaps, c.fresh[noted:]
		c.wall, c.mono, c.turned = now, ran, ran
	}
}

// condense puts the oldest gaps together when there are too many.
func condense(gaps []gap) []gap {
	for len(gaps) > maxGaps {
		first, second := gaps[0], gaps[1]
		gaps = gaps[1:]
		gaps[0] = gap{min(maxGrace, first.size+second.size), max(first.left, second.left)}
	}
	return gaps
}
