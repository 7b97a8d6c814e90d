package storetest

import (
	"errors"
	"slices"

	"github.com/posthorn/posthorn/server/store"
)

var mailboxCases = map[string]func(*suite){
	"1 numbers start at 1 and have no gaps":       numbers,
	"1 numbers go on after a reopen":              numbersAfterReopen,
	"2 what was appended survives a reopen":       survives,
	"5 a call is all or nothing for each mailbox": atomicPerMailbox,
	"6 read starts after a number":                readAfter,
	"6 read keeps to its bounds":                  readBounds,
	"6 an envelope comes back as it went in":      sameEnvelope,
	"a mailbox that was never created":            neverCreated,
	"a dropped mailbox is gone for good":          dropped,
	"creating again keeps the content":            createTwice,
	"presence":                                    presence,
	"buffers may be reused after a call":          reuse,
	"a closed store answers ErrClosed":            closed,
	"a call with an ended context changes little": endedContext,
}

func numbers(s *suite) {
	a, b := s.box(store.Limits{}), s.box(store.Limits{})
	got := s.append(s.envelope(a, "1"), s.envelope(b, "1"), s.envelope(a, "2"))
	got = append(got, s.append(s.envelope(a, "3"), s.envelope(b, "2"))...)
	for i, want := range []uint64{1, 1, 2, 3, 2} {
		if got[i].Seq != want || got[i].Err != nil {
			s.Errorf("envelope %d: number %d, error %v; want number %d", i, got[i].Seq, got[i].Err, want)
		}
	}
}

func numbersAfterReopen(s *suite) {
	box := s.box(store.Limits{})
	s.send(box, "a", "b")
	s.ok(s.Ack(s.ctx, []store.BoxSeq{{Box: box, Seq: 2}}))
	s.reopen()
	if got := s.append(s.envelope(box, "c"))[0]; got.Seq != 3 {
		s.Errorf("number %d after a reopen, want 3", got.Seq)
	}
}

func survives(s *suite) {
	box := s.box(store.Limits{})
	s.send(box, "a", "b", "c")
	s.reopen()
	if got := s.texts(box, 0); !slices.Equal(got, []string{"a", "b", "c"}) {
		s.Errorf("read %q after a reopen", got)
	}
}

func atomicPerMailbox(s *suite) {
	small, large := s.box(store.Limits{Envelopes: 8}), s.box(store.Limits{})
	got := s.append(s.envelope(small, "1"), s.envelope(large, "1"), s.envelope(small, "2"), s.envelope(small, "3"))
	for _, i := range []int{0, 2, 3} {
		if !errors.Is(got[i].Err, store.ErrFull) {
			s.Errorf("envelope %d: %+v, want ErrFull for the whole mailbox", i, got[i])
		}
	}
	if got[1].Err != nil {
		s.Errorf("another mailbox in the same call: %v", got[1].Err)
	}
	if left := s.texts(small, 0); len(left) != 0 {
		s.Errorf("a refused call left %q", left)
	}
	s.send(small, "a")
	if m, _, err := s.Read(s.ctx, small, 0, all, all); err != nil || len(m) != 1 || m[0].Seq != 1 {
		s.Errorf("after a refusal: %v, %v; want number 1", m, err)
	}
}

func readAfter(s *suite) {
	box := s.box(store.Limits{})
	if msgs, head, err := s.Read(s.ctx, box, 0, all, all); len(msgs) != 0 || head != 0 || err != nil {
		s.Errorf("empty mailbox: %d envelopes, head %d, %v", len(msgs), head, err)
	}
	s.send(box, "a", "b", "c")
	for after, want := range map[uint64][]string{0: {"a", "b", "c"}, 2: {"c"}, 3: nil, 99: nil} {
		if got := s.texts(box, after); !slices.Equal(got, want) {
			s.Errorf("after %d: %q, want %q", after, got, want)
		}
	}
	if _, head, err := s.Read(s.ctx, box, 0, 0, all); head != 3 || err != nil {
		s.Errorf("head %d, %v; want 3", head, err)
	}
}

func readBounds(s *suite) {
	box := s.box(store.Limits{})
	s.send(box, "1234", "5678", "9")
	for _, c := range []struct{ max, bytes, want int }{
		{0, all, 0}, {2, all, 2}, {all, 8, 2}, {all, 7, 1}, {all, 9, 3}, {all, 0, 1},
	} {
		msgs, _, err := s.Read(s.ctx, box, 0, c.max, c.bytes)
		if err != nil || len(msgs) != c.want {
			s.Errorf("at most %d envelopes and %d bytes: got %d, %v; want %d", c.max, c.bytes, len(msgs), err, c.want)
		}
	}
}

func sameEnvelope(s *suite) {
	box := s.box(store.Limits{})
	in := s.envelope(box, "\x00bytes\xff")
	in.Sender = from(9)
	in.At = noon.Add(1_234_567) // a millisecond and a bit
	empty := s.envelope(box, "")
	s.append(in, empty)
	msgs, _, err := s.Read(s.ctx, box, 0, all, all)
	s.ok(err)
	if len(msgs) != 2 {
		s.Fatalf("%d envelopes, want 2", len(msgs))
	}
	m := msgs[0]
	if m.Seq != 1 || m.ID != in.ID || m.Sender != in.Sender || string(m.Data) != string(in.Data) {
		s.Errorf("got %+v for %+v", m, in)
	}
	if m.At.UnixMilli() != in.At.UnixMilli() {
		s.Errorf("time %v, want %v", m.At, in.At)
	}
	if msgs[1].ID != empty.ID || len(msgs[1].Data) != 0 {
		s.Errorf("empty envelope came back as %+v", msgs[1])
	}
}

func neverCreated(s *suite) {
	box := s.unused()
	s.refusedEverywhere(box, store.ErrNoBox)
	if err := s.Drop(s.ctx, box); !errors.Is(err, store.ErrNoBox) {
		s.Errorf("drop: %v", err)
	}
}

// refusedEverywhere checks that every use of a mailbox ends in want.
func (s *suite) refusedEverywhere(box store.Box, want error) {
	s.Helper()
	if got := s.append(s.envelope(box, "x"))[0].Err; !errors.Is(got, want) {
		s.Errorf("append: %v, want %v", got, want)
	}
	if _, _, err := s.Read(s.ctx, box, 0, all, all); !errors.Is(err, want) {
		s.Errorf("read: %v, want %v", err, want)
	}
	if err := s.Attach(s.ctx, box, "node"); !errors.Is(err, want) {
		s.Errorf("attach: %v, want %v", err, want)
	}
	if _, err := s.Expired(s.ctx, box); !errors.Is(err, want) {
		s.Errorf("expired: %v, want %v", err, want)
	}
	if err := s.ClearExpired(s.ctx, box, 1); !errors.Is(err, want) {
		s.Errorf("clear expired: %v, want %v", err, want)
	}
	if err := s.Ack(s.ctx, []store.BoxSeq{{Box: box, Seq: 1}}); err != nil {
		s.Errorf("ack: %v, want it passed over", err)
	}
	if err := s.Detach(s.ctx, box, "node"); err != nil {
		s.Errorf("detach: %v", err)
	}
}

func dropped(s *suite) {
	box, other := s.box(store.Limits{}), s.box(store.Limits{})
	s.send(box, "a")
	s.send(other, "b")
	s.ok(s.Drop(s.ctx, box))
	for range 2 {
		s.refusedEverywhere(box, store.ErrGone)
		if err := s.Create(s.ctx, box, store.Limits{}); !errors.Is(err, store.ErrGone) {
			s.Errorf("create: %v, want ErrGone", err)
		}
		s.ok(s.Drop(s.ctx, box))
		s.reopen()
	}
	if got := s.texts(other, 0); !slices.Equal(got, []string{"b"}) {
		s.Errorf("the mailbox beside it holds %q", got)
	}
}

func createTwice(s *suite) {
	box := s.box(store.Limits{})
	s.send(box, "a", "b")
	s.ok(s.Create(s.ctx, box, store.Limits{Envelopes: 2}))
	if got := s.texts(box, 0); len(got) != 2 {
		s.Errorf("content after a second create: %q", got)
	}
	if got := s.append(s.envelope(box, "c"))[0]; !errors.Is(got.Err, store.ErrFull) {
		s.Errorf("the new limit does not hold: %+v", got)
	}
}

func presence(s *suite) {
	box := s.box(store.Limits{})
	node := func() string {
		got := s.append(s.envelope(box, "x"))[0]
		s.ok(got.Err)
		return got.Node
	}
	expect := func(when, want string) {
		s.Helper()
		if got := node(); got != want {
			s.Errorf("%s: node %q, want %q", when, got, want)
		}
	}
	expect("at first", "")
	s.ok(s.Attach(s.ctx, box, "one"))
	expect("after attach", "one")
	s.ok(s.Attach(s.ctx, box, "two"))
	s.ok(s.Detach(s.ctx, box, "one"))
	expect("after a late detach of the node before", "two")
	s.ok(s.Detach(s.ctx, box, "two"))
	expect("after detach", "")
	s.ok(s.Attach(s.ctx, box, "two"))
	s.reopen()
	expect("after a reopen", "")
}

func reuse(s *suite) {
	box := s.box(store.Limits{})
	e := s.envelope(box, "text")
	s.append(e)
	copy(e.Data, "XXXX")
	val := []byte("value")
	_, err := s.CAS(s.ctx, "key", 0, val)
	s.ok(err)
	s.ok(s.Put(s.ctx, "pool", val))
	copy(val, "XXXXX")
	msgs, _, err := s.Read(s.ctx, box, 0, all, all)
	s.ok(err)
	copy(msgs[0].Data, "YYYY")
	got, _, err := s.Get(s.ctx, "key")
	s.ok(err)
	taken, err := s.Take(s.ctx, "pool")
	s.ok(err)
	if again := s.texts(box, 0)[0]; again != "text" || string(got) != "value" || string(taken) != "value" {
		s.Errorf("envelope %q, value %q, taken %q: a caller's buffer shows through", again, got, taken)
	}
}

func closed(s *suite) {
	box := s.box(store.Limits{})
	s.ok(s.Store.Close())
	_, appendErr := s.Append(s.ctx, []store.Envelope{s.envelope(box, "x")})
	_, _, readErr := s.Read(s.ctx, box, 0, all, all)
	_, _, getErr := s.Get(s.ctx, "key")
	_, takeErr := s.Take(s.ctx, "pool")
	_, _, sweepErr := s.Sweep(s.ctx, noon, all)
	_, scanErr := s.Scan(s.ctx, "", "", all)
	_, statsErr := s.Stats(s.ctx)
	for _, err := range []error{
		appendErr, readErr, getErr, takeErr, sweepErr, scanErr, statsErr, s.Create(s.ctx, box, store.Limits{}),
		s.Ack(s.ctx, nil), s.Attach(s.ctx, box, "n"), s.Detach(s.ctx, box, "n"), s.Err(), s.Store.Close(),
	} {
		if !errors.Is(err, store.ErrClosed) {
			s.Errorf("after close: %v, want ErrClosed", err)
		}
	}
	s.Store = s.opener.Open(s.T)
}

// endedContext: the outcome is unknown to the caller, but the store goes on.
func endedContext(s *suite) {
	box := s.box(store.Limits{})
	ctx, cancel := withCancel(s)
	cancel()
	for range 20 {
		e := s.envelope(box, "maybe")
		if _, err := s.Append(ctx, []store.Envelope{e}); err != nil && !errors.Is(err, ctx.Err()) {
			s.Fatalf("append: %v", err)
		}
		s.append(e)
	}
	if got := s.texts(box, 0); len(got) != 20 {
		s.Errorf("%d envelopes after 20 retries with the same ids, want 20", len(got))
	}
}
