package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// post is one prepared Send call and the envelopes in it.
type post struct {
	request
	entries []*entry
}

// sender is one connection with the posts that it will make.
type sender struct {
	device *device
	posts  []post
	took   []time.Duration
	late   []time.Duration // from when a post was due until it was begun
}

// prepare seals and packs what one sender will post: calls requests, each with
// one envelope to every one of the mailboxes. The first of them is whom the
// session is with; the others get further messages of it, for the server cannot
// tell them apart.
func prepare(l *ledger, index int, d *device, to []*mailbox, calls int, size func() int) (*sender, error) {
	payloads, err := talk(d, to[0].device, min(calls*len(to), 64), size)
	if err != nil {
		return nil, err
	}
	s := &sender{device: d, took: make([]time.Duration, 0, calls), late: make([]time.Duration, 0, calls)}
	for n := range calls {
		p, envelopes := post{}, make([]*posthornv1.Envelope, len(to))
		for i, m := range to {
			payload := payloads[(n*len(to)+i)%len(payloads)]
			id := l.add(m, index, uint32(n), payload)
			party := m.device.Party()
			envelopes[i] = &posthornv1.Envelope{Id: id[:], AccountId: party.Account[:], DeviceId: party.Device.ID[:], Payload: payload}
			p.entries = append(p.entries, l.find(id))
		}
		if p.request, err = sendRequest(envelopes); err != nil {
			return nil, err
		}
		s.posts = append(s.posts, p)
	}
	return s, nil
}

// patience is how long a sender repeats a request that nobody answers.
const patience = 2 * time.Minute

// make sends one post until the server has answered for it: an unknown outcome
// is asked for again with the same bytes. Latency counts from due.
func (s *sender) make(ctx context.Context, l *ledger, p post, due time.Time) error {
	for _, e := range p.entries {
		e.sent.CompareAndSwap(0, max(1, int64(due.Sub(l.started))))
	}
	s.late = append(s.late, time.Since(due))
	for attempt := 0; ; attempt++ {
		status, body, err := s.device.call(ctx, p.request)
		switch {
		case err == nil && status == http.StatusOK:
			s.took = append(s.took, time.Since(due))
			return l.accept(p, body)
		case err == nil && status == http.StatusUnauthorized:
			s.device.stub.renewAt = time.Time{} // so that it logs in again
		case err == nil && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable:
			return fmt.Errorf("send: status %d: %s", status, body)
		}
		if ctx.Err() != nil || time.Since(due) > patience {
			return errors.Join(fmt.Errorf("send: given up, status %d", status), err, ctx.Err())
		}
		time.Sleep(min(50*time.Millisecond, time.Duration(attempt+1)*5*time.Millisecond))
	}
}

// flood sends all posts with so many under way before the first of them is
// answered. When the stream breaks, what has no answer goes out again.
func (s *sender) flood(ctx context.Context, l *ledger, ahead int) error {
	w := s.device.wire
	sent, done, lost := 0, 0, time.Time{}
	due := make([]time.Time, len(s.posts))
	for done < len(s.posts) {
		if err := w.ready(ctx); err != nil {
			return err
		}
		for ; sent < len(s.posts) && sent < done+ahead; sent++ {
			if due[sent].IsZero() {
				due[sent] = time.Now()
			}
			for _, e := range s.posts[sent].entries {
				e.sent.CompareAndSwap(0, max(1, int64(due[sent].Sub(l.started))))
			}
			w.put(s.posts[sent].body)
		}
		answers, err := w.exchange()
		if err != nil {
			w.hangUp()
			if lost.IsZero() {
				lost = time.Now()
			}
			if ctx.Err() != nil || time.Since(lost) > patience {
				return errors.Join(errors.New("send: given up"), err, ctx.Err())
			}
			sent = done
			time.Sleep(5 * time.Millisecond)
			continue
		}
		for lost = (time.Time{}); len(answers) > 0; answers = answers[1:] {
			if answers[0].status != http.StatusOK {
				return fmt.Errorf("send: status %d: %s", answers[0].status, answers[0].body)
			}
			s.took = append(s.took, time.Since(due[done]))
			if err := l.accept(s.posts[done], answers[0].body); err != nil {
				return err
			}
			done++
		}
	}
	return nil
}

// accept reads the outcomes of a post into the ledger.
func (l *ledger) accept(p post, body []byte) error {
	var answer posthornv1.SendResponse
	if err := proto.Unmarshal(body, &answer); err != nil || len(answer.GetStatuses()) != len(p.entries) {
		return fmt.Errorf("send: %w: %w", errAnswer, err)
	}
	now := l.now()
	for i, status := range answer.GetStatuses() {
		if status != posthornv1.SendStatus_SEND_STATUS_ACCEPTED {
			l.fault("an envelope was not accepted: %v", status)
			continue
		}
		p.entries[i].accepted.Store(now)
	}
	return nil
}

// closedLoop lets every sender post as fast as it gets answers, each with so
// many posts under way, and returns the time that all of it took.
func closedLoop(ctx context.Context, l *ledger, senders []*sender, ahead int) (time.Duration, error) {
	return together(senders, func(s *sender) error {
		if ahead > 1 {
			return s.flood(ctx, l, ahead)
		}
		for _, p := range s.posts {
			if err := s.make(ctx, l, p, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// openLoop posts at a steady rate whatever the answers take, so that a server
// that is late is seen to be late by everybody behind it. Posts go to whichever
// connection is free; their latency counts from when they were due.
func openLoop(ctx context.Context, l *ledger, senders []*sender, perSecond float64) (time.Duration, error) {
	total := 0
	for _, s := range senders {
		total += len(s.posts)
	}
	var next atomic.Int64
	begun := time.Now()
	return together(senders, func(s *sender) error {
		for _, p := range s.posts {
			due := begun.Add(time.Duration(float64(next.Add(1)-1) / perSecond * float64(time.Second)))
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Until(due)):
			}
			if err := s.make(ctx, l, p, due); err != nil {
				return err
			}
		}
		return nil
	})
}

// together runs one goroutine for each sender.
func together(senders []*sender, run func(*sender) error) (time.Duration, error) {
	begun := time.Now()
	failed := make(chan error, len(senders))
	var all sync.WaitGroup
	for _, s := range senders {
		all.Go(func() {
			if err := run(s); err != nil {
				failed <- err
			}
		})
	}
	all.Wait()
	took := time.Since(begun)
	close(failed)
	return took, <-failed
}
