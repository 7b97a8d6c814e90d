package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/server/store"
)

var overviewCases = map[string]func(*suite){
	"7 scan lists the keys with a prefix, in byte order": scanOrder,
	"7 scan goes on in pages":                            scanPages,
	"7 scan sees what CAS has written":                   scanFresh,
	"stats of an empty store":                            statsEmpty,
	"stats count mailboxes and envelopes":                statsCount,
	"stats follow acks":                                  statsAcks,
	"stats follow expiry":                                statsExpiry,
	"stats forget a dropped mailbox":                     statsDrop,
	"stats survive a reopen":                             statsSurvive,
	"stats count a repeat and a refused envelope never":  statsRepeats,
}

// scan returns keys as they come.
func (s *suite) scan(prefix, after string, max int) (keys []string) {
	s.Helper()
	found, err := s.Scan(s.ctx, prefix, after, max)
	s.ok(err)
	for _, e := range found {
		keys = append(keys, e.Key)
	}
	return keys
}

func (s *suite) scans(prefix, after string, max int, want ...string) {
	s.Helper()
	if got := s.scan(prefix, after, max); !slices.Equal(got, want) {
		s.Errorf("scan of %q above %q, at most %d: %q, want %q", prefix, after, max, got, want)
	}
}

func scanOrder(s *suite) {
	for _, key := range []string{"b/2", "a/1", "b/10", "b", "b/", "c/1", "b/2\x00", "b/\xff", "b0"} {
		s.set(key, 0, "value of "+key)
	}
	s.set("b/2", 1, "newer")
	s.scans("b/", "", all, "b/", "b/10", "b/2", "b/2\x00", "b/\xff")
	s.scans("b/", "a", all, "b/", "b/10", "b/2", "b/2\x00", "b/\xff")
	s.scans("b/", "b/2", all, "b/2\x00", "b/\xff")
	s.scans("b/", "b/\xff", all)
	s.scans("b/", "c", all)
	s.scans("b/", "", 2, "b/", "b/10")
	s.scans("b/", "", 0)
	s.scans("none", "", all)
	found, err := s.Scan(s.ctx, "b/2", "", 1)
	s.ok(err)
	if len(found) != 1 || string(found[0].Val) != "newer" || found[0].Ver != 2 {
		s.Errorf("found %+v, want the newer value at version 2", found)
	}
}

func scanPages(s *suite) {
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("page/%02d", i)
		want = append(want, key)
		s.set(key, 0, "x")
	}
	s.reopen()
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page := s.scan("page/", after, 7)
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
	}
	if !slices.Equal(got, want) {
		s.Errorf("in pages of seven: %q", got)
	}
}

func scanFresh(s *suite) {
	for i := range 50 {
		key := fmt.Sprintf("fresh/%02d", i)
		s.set(key, 0, "x")
		s.scans(key, "", all, key)
	}
}

// stats wants these numbers once acks are applied, which takes a second on a
// quiet machine.
func (s *suite) stats(mailboxes, queued uint64, oldest time.Time) {
	s.Helper()
	var got store.Stats
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		var err error
		got, err = s.Stats(s.ctx)
		s.ok(err)
		early := oldest.Sub(got.Oldest)
		if got.Mailboxes == mailboxes && got.Queued == queued && early >= 0 && early <= time.Minute && got.Oldest.IsZero() == oldest.IsZero() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.Errorf("%+v, want %d mailboxes with %d envelopes, the oldest of %v", got, mailboxes, queued, oldest)
}

func statsEmpty(s *suite) { s.stats(0, 0, time.Time{}) }

func statsCount(s *suite) {
	a, b := s.box(store.Limits{}), s.box(store.Limits{})
	s.stats(2, 0, time.Time{})
	s.ok(s.Create(s.ctx, a, store.Limits{Envelopes: 9}))
	s.aged(a, "noon", "one")
	s.stats(2, 2, noon)
	s.aged(b, "noon")
	s.stats(2, 3, noon)
}

func statsAcks(s *suite) {
	a, b := s.box(store.Limits{}), s.box(store.Limits{})
	s.aged(a, "noon", "one", "two")
	s.aged(b, "noon")
	s.ack(a, 2)
	s.stats(2, 2, noon)
	s.ack(b, 1)
	s.stats(2, 1, noon.Add(2*time.Hour))
	s.ack(a, 3)
	s.stats(2, 0, time.Time{})
}

func statsExpiry(s *suite) {
	s.aged(s.box(store.Limits{}), "noon", "one", "two")
	s.sweepAll(noon.Add(time.Hour + time.Minute))
	s.stats(1, 1, noon.Add(2*time.Hour))
}

func statsDrop(s *suite) {
	a, b := s.box(store.Limits{}), s.box(store.Limits{})
	s.aged(a, "noon", "one")
	s.aged(b, "noon", "one", "two")
	s.ack(b, 1)
	s.ok(s.Drop(s.ctx, a))
	s.ok(s.Drop(s.ctx, a))
	s.stats(1, 2, noon.Add(time.Hour))
	s.ok(s.Drop(s.ctx, b))
	s.stats(0, 0, time.Time{})
}

func statsSurvive(s *suite) {
	a := s.box(store.Limits{})
	s.aged(a, "noon", "one", "two")
	s.aged(s.box(store.Limits{}), "noon")
	s.ack(a, 1)
	s.reopen()
	s.stats(2, 3, noon)
	s.ack(a, 3)
	s.reopen()
	s.stats(2, 1, noon)
}

func statsRepeats(s *suite) {
	box := s.box(store.Limits{Envelopes: 4})
	e := s.envelope(box, "x")
	s.append(e, e)
	s.append(e)
	if got := s.append(s.envelope(box, "y"))[0]; !errors.Is(got.Err, store.ErrFull) {
		s.Fatalf("the second of one sender in a mailbox of four: %+v", got)
	}
	s.stats(1, 1, noon)
}
