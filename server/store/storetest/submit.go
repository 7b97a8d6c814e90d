package storetest

import (
	"context"
	"slices"

	"github.com/posthorn/posthorn/server/store"
)

var submitCases = map[string]func(*suite){
	"what one goroutine submits keeps its order":             submitsInOrder,
	"what was submitted is whole and survives a reopen":      submitted,
	"an end of waiting leaves the outcome open, no more":     submitAndLeave,
	"a closed store and an empty call answer as Append does": submitEdges,
}

// submitsInOrder has many calls under way before it asks for the first.
func submitsInOrder(s *suite) {
	const n = 300
	box, other := s.box(store.Limits{}), s.box(store.Limits{})
	under := make([]store.Pending, n)
	for i := range under {
		p, err := s.Submit(s.ctx, []store.Envelope{s.envelope(box, "x"), s.envelope(other, "y")})
		s.ok(err)
		under[i] = p
	}
	for i, p := range under {
		got, err := p.Wait(s.ctx)
		if err != nil || len(got) != 2 || got[0].Seq != uint64(i+1) || got[1].Seq != uint64(i+1) {
			s.Fatalf("call %d: %+v, %v", i, got, err)
		}
	}
}

func submitted(s *suite) {
	box := s.box(store.Limits{Envelopes: 8})
	same := s.envelope(box, "a")
	first, err := s.Submit(s.ctx, []store.Envelope{same, s.envelope(box, "b")})
	s.ok(err)
	again, err := s.Submit(s.ctx, []store.Envelope{same})
	s.ok(err)
	_, err = first.Wait(s.ctx)
	s.ok(err)
	if got, err := again.Wait(s.ctx); err != nil || !got[0].Repeat || got[0].Seq != 1 {
		s.Errorf("a repeat: %+v, %v", got, err)
	}
	s.reopen()
	msgs, head, err := s.Read(s.ctx, box, 0, all, all)
	s.ok(err)
	if head != 2 || !slices.EqualFunc(msgs, []string{"a", "b"}, func(m store.Msg, want string) bool { return string(m.Data) == want }) {
		s.Errorf("%d envelopes, head %d", len(msgs), head)
	}
}

// submitAndLeave waits with a context that has ended: whatever it is told, the
// store goes on and can be closed.
func submitAndLeave(s *suite) {
	box := s.box(store.Limits{})
	over, end := context.WithCancel(s.ctx)
	end()
	p, err := s.Submit(s.ctx, []store.Envelope{s.envelope(box, "x")})
	s.ok(err)
	if got, err := p.Wait(over); err == nil && (len(got) != 1 || got[0].Seq != 1) {
		s.Errorf("%+v", got)
	}
	if got := s.append(s.envelope(box, "y"))[0]; got.Seq != 2 {
		s.Errorf("number %d after it", got.Seq)
	}
	s.reopen()
}

func submitEdges(s *suite) {
	p, err := s.Submit(s.ctx, nil)
	s.ok(err)
	if got, err := p.Wait(s.ctx); err != nil || len(got) != 0 {
		s.Errorf("nothing: %v, %v", got, err)
	}
	box := s.box(store.Limits{})
	s.ok(s.Close())
	if _, err := s.Submit(s.ctx, []store.Envelope{s.envelope(box, "x")}); err == nil {
		s.Error("a closed store took an envelope")
	}
}
