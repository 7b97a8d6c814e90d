package storetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/posthorn/posthorn/server/store"
)

func withCancel(s *suite) (context.Context, context.CancelFunc) { return context.WithCancel(s.ctx) }

var repeatCases = map[string]func(*suite){
	"3 a repeat gets the number it had":               repeats,
	"3 a repeat inside one call":                      repeatInCall,
	"3 a repeat after the ack is not stored again":    repeatAfterAck,
	"3 a repeat is answered when the mailbox is full": repeatWhenFull,
	"3 the same id from another sender is new":        repeatOfAnother,
	"3 ids are forgotten after the window":            repeatTooLate,
}

func repeats(s *suite) {
	box := s.box(store.Limits{})
	e := s.envelope(box, "a")
	first := s.append(e)[0]
	s.send(box, "b")
	again := s.append(e)[0]
	if again.Seq != first.Seq || again.Err != nil || !again.Repeat || first.Repeat {
		s.Errorf("repeat: %+v, want number %d and that it is one; the first was %+v", again, first.Seq, first)
	}
	if got := s.texts(box, 0); !slices.Equal(got, []string{"a", "b"}) {
		s.Errorf("mailbox holds %q", got)
	}
}

func repeatInCall(s *suite) {
	box := s.box(store.Limits{})
	e := s.envelope(box, "a")
	got := s.append(e, s.envelope(box, "b"), e)
	if got[0].Seq != 1 || got[1].Seq != 2 || got[2].Seq != 1 {
		s.Errorf("numbers %d, %d, %d; want 1, 2, 1", got[0].Seq, got[1].Seq, got[2].Seq)
	}
	if got[0].Repeat || got[1].Repeat || !got[2].Repeat {
		s.Errorf("repeats %v, %v, %v; want the last alone", got[0].Repeat, got[1].Repeat, got[2].Repeat)
	}
	if got := s.texts(box, 0); !slices.Equal(got, []string{"a", "b"}) {
		s.Errorf("mailbox holds %q", got)
	}
}

func repeatAfterAck(s *suite) {
	box := s.box(store.Limits{})
	e := s.envelope(box, "a")
	s.append(e)
	s.ok(s.Ack(s.ctx, []store.BoxSeq{{Box: box, Seq: 1}}))
	if got := s.append(e)[0]; got.Seq != 1 || got.Err != nil {
		s.Errorf("repeat: %+v, want number 1", got)
	}
	if got := s.texts(box, 0); len(got) != 0 {
		s.Errorf("stored again: %q", got)
	}
}

func repeatWhenFull(s *suite) {
	box := s.box(store.Limits{Envelopes: 1})
	e := s.envelope(box, "a")
	s.append(e)
	got := s.append(e, s.envelope(box, "b"))
	if got[0].Err != nil || got[0].Seq != 1 {
		s.Errorf("repeat: %+v, want number 1", got[0])
	}
	if !errors.Is(got[1].Err, store.ErrFull) {
		s.Errorf("new one: %+v, want ErrFull", got[1])
	}
}

func repeatOfAnother(s *suite) {
	box := s.box(store.Limits{})
	e := s.envelope(box, "mine")
	theirs := e
	theirs.Sender, theirs.Data = from(2), []byte("theirs")
	s.append(theirs)
	s.append(e)
	if got := s.texts(box, 0); !slices.Equal(got, []string{"theirs", "mine"}) {
		s.Errorf("mailbox holds %q: one sender's id shut out another's", got)
	}
}

func repeatTooLate(s *suite) {
	box := s.box(store.Limits{})
	e := s.envelope(box, "a")
	s.append(e)
	e.At = noon.Add(store.RepeatWindow)
	if got := s.append(e)[0]; got.Seq != 1 {
		s.Errorf("at the end of the window: number %d, want 1", got.Seq)
	}
	e.At = noon.Add(store.RepeatWindow + time.Second)
	if got := s.append(e)[0]; got.Seq != 2 {
		s.Errorf("after the window: number %d, want 2", got.Seq)
	}
}

var ackCases = map[string]func(*suite){
	"4 an ack covers everything below":  ackCumulative,
	"4 an ack above the head":           ackBeyond,
	"4 an older ack changes nothing":    ackOlder,
	"4 an ack frees room at once":       ackFrees,
	"4 acks survive an orderly close":   ackSurvives,
	"4 acks of many mailboxes at once":  ackMany,
	"4 an ack frees the sender's share": ackFreesShare,
}

func (s *suite) ack(box store.Box, seq uint64) {
	s.Helper()
	s.ok(s.Ack(s.ctx, []store.BoxSeq{{Box: box, Seq: seq}}))
}

func ackCumulative(s *suite) {
	box := s.box(store.Limits{})
	s.send(box, "a", "b", "c")
	s.ack(box, 2)
	if got := s.texts(box, 0); !slices.Equal(got, []string{"c"}) {
		s.Errorf("left %q, want only the third", got)
	}
}

func ackBeyond(s *suite) {
	box := s.box(store.Limits{})
	s.send(box, "a")
	s.ack(box, 1<<63)
	s.send(box, "b")
	msgs, head, err := s.Read(s.ctx, box, 0, all, all)
	if err != nil || head != 2 || len(msgs) != 1 || msgs[0].Seq != 2 {
		s.Errorf("after an ack of the future: %v, head %d, %v; want number 2", msgs, head, err)
	}
}

func ackOlder(s *suite) {
	box := s.box(store.Limits{})
	s.send(box, "a", "b", "c")
	s.ack(box, 2)
	s.ack(box, 1)
	s.ack(box, 0)
	if got := s.texts(box, 0); !slices.Equal(got, []string{"c"}) {
		s.Errorf("left %q, want only the third", got)
	}
}

func ackFrees(s *suite) {
	box := s.box(store.Limits{Envelopes: 4, Bytes: 16})
	for i := range 20 {
		e := s.envelope(box, "four")
		if got := s.append(e)[0]; got.Err != nil {
			s.Fatalf("envelope %d, all before it acked: %v", i, got.Err)
		}
		s.ack(box, uint64(i+1))
	}
}

func ackFreesShare(s *suite) {
	box := s.box(store.Limits{Envelopes: 8})
	s.send(box, "a", "b")
	if got := s.append(s.envelope(box, "c"))[0]; !errors.Is(got.Err, store.ErrFull) {
		s.Fatalf("third: %+v, want ErrFull", got)
	}
	s.ack(box, 1)
	s.send(box, "c")
	if got := s.append(s.envelope(box, "d"))[0]; !errors.Is(got.Err, store.ErrFull) {
		s.Errorf("one was acked, two were taken: %+v", got)
	}
}

func ackSurvives(s *suite) {
	box := s.box(store.Limits{})
	s.send(box, "a", "b", "c")
	s.ack(box, 2)
	s.reopen()
	if got := s.texts(box, 0); !slices.Equal(got, []string{"c"}) {
		s.Errorf("left %q after a reopen, want only the third", got)
	}
}

func ackMany(s *suite) {
	var acks []store.BoxSeq
	for range 50 {
		box := s.box(store.Limits{})
		s.append(s.envelope(box, "a"), s.envelope(box, "b"))
		acks = append(acks, store.BoxSeq{Box: box, Seq: 1})
	}
	acks = append(acks, store.BoxSeq{Box: s.unused(), Seq: 7})
	s.ok(s.Ack(s.ctx, acks))
	s.reopen()
	for _, a := range acks[:50] {
		if got := s.texts(a.Box, 0); !slices.Equal(got, []string{"b"}) {
			s.Errorf("left %q, want the second", got)
		}
	}
}
