package server

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// era is a store, a clock that can be moved, and the servers that ran on both.
type era struct {
	t    *testing.T
	kept store.Store
	wall time.Time // the clock
	ran  time.Time // time that really went by
	*calendar
}

func newEra(t *testing.T) *era {
	e := &era{t: t, kept: memory.New(), wall: time.UnixMilli(1_800_000_000_000), ran: time.Now()}
	e.start()
	return e
}

// start begins the life of a server, as if the last one had been killed.
func (e *era) start() {
	e.calendar = newCalendar(e.kept, 30*day, slog.New(slog.DiscardHandler))
	e.now, e.calendar.ran = func() time.Time { return e.wall }, func() time.Time { return e.ran }
	e.calendar.wall, e.mono = e.wall, e.ran
	e.turned()
}

func (e *era) turned() time.Duration {
	e.t.Helper()
	grace, err := e.turn(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	return grace
}

// pass lets time go by, with a turn each hour.
func (e *era) pass(d time.Duration) {
	for ; d > 0; d -= time.Hour {
		e.off(min(d, time.Hour))
		e.turned()
	}
}

// off lets time go by without a server.
func (e *era) off(d time.Duration) { e.wall, e.ran = e.wall.Add(d), e.ran.Add(d) }

// expired reports whether mail of that time would be deleted now.
func (e *era) expired(at time.Time) bool { return at.Before(e.wall.Add(-30*day - e.turned())) }

func (e *era) want(what string, at time.Time, expired bool) {
	e.t.Helper()
	if e.expired(at) != expired {
		e.t.Errorf("%s: expired %v, want %v", what, !expired, expired)
	}
}

func TestA40RetentionWithoutJumps(t *testing.T) {
	e := newEra(t)
	at := e.wall
	e.pass(30 * day)
	e.want("after thirty days", at, false)
	e.pass(2 * time.Hour)
	e.want("two hours later", at, true)
}

// Ten years ahead, and mail that has waited for ten days waits for twenty more.
// Then the jump is forgotten.
func TestA40ClockJumpsAhead(t *testing.T) {
	e := newEra(t)
	before := e.wall
	e.pass(10 * day)
	e.wall = e.wall.Add(10 * year)
	e.want("right after the jump", before, false)
	if e.grace() < 10*year {
		t.Error("a device that was away has not been away for ten years")
	}
	after := e.wall
	e.pass(20*day - time.Hour)
	e.want("a day short of thirty in all", before, false)
	e.pass(3 * time.Hour)
	e.want("after thirty days in all", before, true)
	e.want("mail from after the jump", after, false)
	e.pass(11 * day)
	e.want("mail from after the jump, thirty days old", after, true)
	if g := e.grace(); g != 0 {
		t.Errorf("grace %v is left", g)
	}
}

// A machine without a clock of its own begins ten years ago, until the network
// tells it the time.
func TestA40ClockStartsInThePast(t *testing.T) {
	e := newEra(t)
	old := e.wall
	e.pass(day)
	e.wall = e.wall.Add(-10 * year)
	e.start()
	young := e.wall
	e.want("old mail", old, false)
	e.pass(time.Hour)
	e.wall = e.wall.Add(10 * year)
	e.want("old mail, the clock right again", old, false)
	e.want("mail that was dated ten years back", young, false)
	e.pass(28 * day)
	e.want("mail that was dated ten years back, after 28 days", young, false)
	e.pass(3 * day)
	e.want("mail that was dated ten years back, after 31 days", young, true)
}

// The time that a server was off counts, unless it is so long that the clock is
// more likely wrong.
func TestA40ServerWasOff(t *testing.T) {
	e := newEra(t)
	at := e.wall
	e.off(29 * day)
	e.start()
	e.want("after 29 days off", at, false)
	e.off(2 * day)
	e.start()
	e.want("after 31 days off", at, true)
	at = e.wall
	e.wall = e.wall.Add(10 * year)
	e.start()
	e.want("after a start ten years ahead", at, false)
	e.wall = e.wall.Add(-10 * year)
	e.start()
	e.pass(29 * day)
	e.want("after 29 days, the clock right again", at, false)
}

// TestA40AnyClock: whatever the clock does, with restarts and outages, no mail
// expires before the retention time has really passed, but for the slips that
// clocks are allowed and for clocks that are moved by less than half a year
// while no server runs.
func TestA40AnyClock(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 40))
	e := newEra(t)
	type mail struct{ at, arrived time.Time }
	var waiting []mail
	expired := 0
	for range 24 * 200 {
		switch random.IntN(100) {
		case 0:
			e.wall = e.wall.Add(time.Duration(random.Int64N(int64(20*year))) - 10*year)
		case 1:
			e.off(time.Duration(random.Int64N(int64(10 * day))))
			e.start()
		case 2:
			e.wall = e.wall.Add(plausibleOutage + time.Duration(random.Int64N(int64(year))))
			e.start()
		case 3, 4, 5:
			waiting = append(waiting, mail{e.wall, e.ran})
		}
		e.pass(time.Hour)
		for len(waiting) > 0 && e.expired(waiting[0].at) {
			if waited := e.ran.Sub(waiting[0].arrived); waited < 30*day {
				t.Fatalf("mail expired after %v", waited)
			}
			waiting, expired = waiting[1:], expired+1
		}
	}
	t.Logf("%d expired, %d wait", expired, len(waiting))
}

// Nodes with one store agree on its record, and each keeps what it saw.
func TestA40NodesShareTheRecord(t *testing.T) {
	e := newEra(t)
	at := e.wall
	other := *e
	other.start()
	e.pass(day)
	other.wall, other.ran = e.wall.Add(10*year), e.ran
	if other.turned() < 10*year {
		t.Fatal("a node does not see its own clock jump")
	}
	e.want("at the other node", at, false)
	if e.grace() < 10*year {
		t.Error("the other node has not heard of it")
	}
}

func TestA40DamagedRecordStopsExpiry(t *testing.T) {
	e := newEra(t)
	if _, err := e.kept.CAS(t.Context(), calendarKey, 1, []byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	if _, err := e.turn(t.Context()); !errors.Is(err, errRecord) {
		t.Errorf("turn: %v", err)
	}
	if err := CheckRecord(calendarKey, []byte("nonsense")); err == nil {
		t.Error("posthornd check does not see it")
	}
	if err := CheckRecord(calendarKey, clockRecord{at: e.wall}.marshal()); err != nil {
		t.Error(err)
	}
}
