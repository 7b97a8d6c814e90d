package storetest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/posthorn/posthorn/server/store"
)

var quotaCases = map[string]func(*suite){
	"one sender gets a quarter of the envelopes": senderEnvelopes,
	"one sender gets a quarter of the bytes":     senderBytes,
	"all senders together get the whole":         wholeMailbox,
	"shares survive a reopen":                    sharesSurvive,
	"the defaults are what they say":             defaultBytes,
	"a mailbox of one holds one":                 boxOfOne,
}

// fill appends envelopes of size bytes from one sender until it is refused,
// and returns how many went in.
func (s *suite) fill(box store.Box, sender store.Sender, size, most int) int {
	s.Helper()
	data := strings.Repeat("x", size)
	for n := range most {
		e := s.envelope(box, data)
		e.Sender = sender
		switch got := s.append(e)[0]; {
		case errors.Is(got.Err, store.ErrFull):
			return n
		case got.Err != nil:
			s.Fatal(got.Err)
		}
	}
	return most
}

func senderEnvelopes(s *suite) {
	box := s.box(store.Limits{Envelopes: 20})
	if n := s.fill(box, from(1), 1, 21); n != 5 {
		s.Errorf("the first sender stored %d of 20, want 5", n)
	}
	if n := s.fill(box, from(2), 1, 2); n != 2 {
		s.Errorf("another sender stored %d beside a full share, want 2", n)
	}
}

func senderBytes(s *suite) {
	box := s.box(store.Limits{Bytes: 400})
	if n := s.fill(box, from(1), 40, 11); n != 2 {
		s.Errorf("the first sender stored %d times 40 of 400 bytes, want 2", n)
	}
	if n := s.fill(box, from(1), 20, 2); n != 1 {
		s.Errorf("then %d of 20 bytes, want 1: exactly a quarter is allowed", n)
	}
	if n := s.fill(box, from(2), 101, 1); n != 0 {
		s.Error("one envelope above a sender's share went in")
	}
}

func wholeMailbox(s *suite) {
	box := s.box(store.Limits{Envelopes: 10, Bytes: 1000})
	total := 0
	for sender := range byte(9) {
		total += s.fill(box, from(sender), 1, 11)
	}
	if total != 10 {
		s.Errorf("nine senders stored %d, want 10", total)
	}
	byBytes := s.box(store.Limits{Envelopes: 1000, Bytes: 100})
	total = 0
	for sender := range byte(9) {
		total += s.fill(byBytes, from(sender), 5, 21)
	}
	if total != 20 {
		s.Errorf("nine senders stored %d times 5 of 100 bytes, want 20", total)
	}
}

func sharesSurvive(s *suite) {
	box := s.box(store.Limits{Envelopes: 20})
	s.fill(box, from(1), 1, 3)
	s.reopen()
	if n := s.fill(box, from(1), 1, 21); n != 2 {
		s.Errorf("%d after three and a reopen, want 2", n)
	}
}

func defaultBytes(s *suite) {
	box := s.box(store.Limits{})
	if n := s.fill(box, from(1), 1<<20, 20); n != 16 {
		s.Errorf("one sender stored %d MiB in a mailbox of the default size, want 16", n)
	}
}

func boxOfOne(s *suite) {
	box := s.box(store.Limits{Envelopes: 1})
	if n := s.fill(box, from(1), 1, 3); n != 1 {
		s.Errorf("stored %d, want 1", n)
	}
}

var retentionCases = map[string]func(*suite){
	"only what is older expires":           sweepOlder,
	"the owner is told once":               toldOnce,
	"the owner is told until it knows":     toldUntilCleared,
	"the count survives a reopen":          countSurvives,
	"a small budget gets through in turns": sweepBudget,
	"acked envelopes are not counted":      sweepAcked,
	"expiry frees room and numbers go on":  sweepFrees,
	"a clock far ahead or behind":          sweepClock,
}

// aged stores envelopes that are n hours apart, the first at noon.
func (s *suite) aged(box store.Box, texts ...string) {
	s.Helper()
	for i, text := range texts {
		e := s.envelope(box, text)
		e.At = noon.Add(time.Duration(i) * time.Hour)
		s.ok(s.append(e)[0].Err)
	}
}

// sweepAll sweeps every mailbox once and returns what expired.
func (s *suite) sweepAll(before time.Time) int {
	s.Helper()
	n, done, err := s.Sweep(s.ctx, before, 1<<30)
	s.ok(err)
	if !done {
		s.Error("a sweep with a budget for everything is not done")
	}
	return n
}

// expired reads the count of a mailbox and clears it, as its owner does.
func (s *suite) expired(box store.Box) uint64 {
	s.Helper()
	n, err := s.Expired(s.ctx, box)
	s.ok(err)
	s.ok(s.ClearExpired(s.ctx, box, n))
	return n
}

// Who asks and is cut off before it knows the answer is told again; what
// expires between the answer and the clearing stays to be told.
func toldUntilCleared(s *suite) {
	box := s.box(store.Limits{})
	s.aged(box, "0h", "1h", "2h")
	s.sweepAll(noon.Add(time.Minute))
	for range 2 {
		if n, err := s.Expired(s.ctx, box); err != nil || n != 1 {
			s.Errorf("told %d, %v, want 1", n, err)
		}
	}
	s.sweepAll(noon.Add(61 * time.Minute))
	s.ok(s.ClearExpired(s.ctx, box, 1))
	s.reopen()
	if n, err := s.Expired(s.ctx, box); err != nil || n != 1 {
		s.Errorf("%d left to be told, %v, want 1", n, err)
	}
	s.ok(s.ClearExpired(s.ctx, box, 1000))
	if n, err := s.Expired(s.ctx, box); err != nil || n != 0 {
		s.Errorf("%d left to be told, %v, want none", n, err)
	}
}

func sweepOlder(s *suite) {
	a, b := s.box(store.Limits{}), s.box(store.Limits{})
	s.aged(a, "0h", "1h", "2h")
	s.aged(b, "0h")
	if n := s.sweepAll(noon.Add(time.Hour)); n != 2 {
		s.Errorf("%d expired, want 2", n)
	}
	if got := s.texts(a, 0); !slices.Equal(got, []string{"1h", "2h"}) {
		s.Errorf("left %q", got)
	}
	if got := s.texts(b, 0); len(got) != 0 {
		s.Errorf("left %q", got)
	}
}

func toldOnce(s *suite) {
	box, other := s.box(store.Limits{}), s.box(store.Limits{})
	s.aged(box, "a", "b")
	s.sweepAll(noon.Add(time.Minute))
	s.sweepAll(noon.Add(2 * time.Hour))
	if n := s.expired(box); n != 2 {
		s.Errorf("told %d, want 2", n)
	}
	if n := s.expired(box); n != 0 {
		s.Errorf("told again: %d", n)
	}
	if n := s.expired(other); n != 0 {
		s.Errorf("another mailbox is told %d", n)
	}
	s.reopen()
	if n := s.expired(box); n != 0 {
		s.Errorf("told again after a reopen: %d", n)
	}
}

func countSurvives(s *suite) {
	box := s.box(store.Limits{})
	s.aged(box, "a")
	s.sweepAll(noon.Add(time.Minute))
	s.reopen()
	if n := s.expired(box); n != 1 {
		s.Errorf("told %d after a reopen, want 1", n)
	}
}

func sweepBudget(s *suite) {
	var boxes []store.Box
	for range 7 {
		box := s.box(store.Limits{})
		s.append(s.envelope(box, "a"), s.envelope(box, "b"), s.envelope(box, "c"))
		boxes = append(boxes, box)
	}
	total, rounds := 0, 0
	for done := false; !done; rounds++ {
		if rounds > 100 {
			s.Fatal("100 sweeps with a budget of 3 have not passed 7 mailboxes")
		}
		n, d, err := s.Sweep(s.ctx, noon.Add(time.Minute), 3)
		s.ok(err)
		if n > 3 {
			s.Errorf("%d expired with a budget of 3", n)
		}
		total, done = total+n, d
	}
	if total != 21 || rounds < 7 {
		s.Errorf("%d expired in %d sweeps, want 21 in at least 7", total, rounds)
	}
	for _, box := range boxes {
		if n := s.expired(box); n != 3 {
			s.Errorf("told %d, want 3", n)
		}
	}
}

func sweepAcked(s *suite) {
	box := s.box(store.Limits{})
	s.aged(box, "a", "b", "c")
	s.ack(box, 1)
	if n := s.sweepAll(noon.Add(90 * time.Minute)); n != 1 {
		s.Errorf("%d expired, want 1: the first was acked", n)
	}
	if n := s.expired(box); n != 1 {
		s.Errorf("told %d, want 1", n)
	}
}

func sweepFrees(s *suite) {
	box := s.box(store.Limits{Envelopes: 8})
	s.aged(box, "a", "b")
	s.sweepAll(noon.Add(time.Minute))
	e := s.envelope(box, "c")
	e.At = noon.Add(3 * time.Hour)
	if got := s.append(e)[0]; got.Err != nil || got.Seq != 3 {
		s.Errorf("after an expiry: %+v, want number 3", got)
	}
}

func sweepClock(s *suite) {
	box := s.box(store.Limits{})
	for _, years := range []int{10, -10, 0} {
		e := s.envelope(box, "x")
		e.At = noon.AddDate(years, 0, 0)
		s.ok(s.append(e)[0].Err)
	}
	if n := s.sweepAll(noon.AddDate(-20, 0, 0)); n != 0 {
		s.Errorf("%d expired by a clock that lies behind", n)
	}
	if n := s.sweepAll(noon.Add(time.Hour)); n != 0 {
		s.Errorf("%d expired behind a younger envelope, numbers would have a hole", n)
	}
	if msgs, _, err := s.Read(s.ctx, box, 0, all, all); err != nil || len(msgs) != 3 || msgs[1].At != noon.AddDate(-10, 0, 0) {
		s.Errorf("read %v, %v", msgs, err)
	}
}
