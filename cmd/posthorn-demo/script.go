package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/internal/visible"
)

const (
	// scriptLength is the number of messages in the scripted conversation: more
	// than twice the number after which a rekey is due.
	scriptLength = 120
	// wantedRekeys is how many of the rekeys have to complete on the way.
	wantedRekeys = 2
	// scriptLimit ends a conversation that hangs.
	scriptLimit = 4 * time.Minute
)

// phrases are said in turn.
var phrases = []string{
	"Hello! Is this thing on?",
	"Loud and clear 📯",
	"Every message here has a key of its own.",
	"And the keys are renewed while we talk?",
	"With a post-quantum exchange, every 50 messages or every day.",
	"Что, если кто-то всё записывает?",
	"Then the record stays closed, also to a quantum computer.",
	"两行\n也可以",
	"Whoever steals a key gets a few messages, not the thread.",
	"👍🏽",
}

// indent aligns the second line of a text with its first.
const indent = "                                     "

// tally is what the summary is made of.
type tally struct {
	sizes  []int
	rekeys []int // after which message each rekey was seen complete
	began  time.Time
}

// script plays the conversation without a terminal. It fails if a text arrives
// changed, late or not at all, or if fewer rekeys complete than are due.
func script(ctx context.Context, s *stage) error {
	ctx, cancel := context.WithTimeout(ctx, scriptLimit)
	defer cancel()
	s.say("No terminal, so Alice and Bob play a script of %d messages.", scriptLength)
	s.say("%s", s.proof)
	t := tally{began: time.Now()}
	for i := range scriptLength {
		if err := s.line(ctx, i, &t); err != nil {
			return fmt.Errorf("message %d: %w", i+1, err)
		}
	}
	state, err := s.state(ctx, s.people[0], s.people[1])
	if err != nil {
		return err
	}
	s.summary(t, state)
	if len(t.rekeys) < wantedRekeys {
		return fmt.Errorf("%d post-quantum rekeys completed, %d were due", len(t.rekeys), wantedRekeys)
	}
	return nil
}

// line plays one message. Alice says three, Bob says two, and so on.
func (s *stage) line(ctx context.Context, i int, t *tally) error {
	speaker := 0
	if i%5 > 2 {
		speaker = 1
	}
	from, to := s.people[speaker], s.people[1-speaker]
	text := phrases[i%len(phrases)]
	message, err := s.pass(ctx, from, to, text)
	if err != nil {
		return err
	}
	if message.Text != text {
		return errors.New("the text arrived changed")
	}
	t.sizes = append(t.sizes, message.WireSize)
	s.say("%4d  %-5s → %-5s  %5d bytes  %s", i+1, from.name, to.name, message.WireSize, visible.Block(message.Text, indent))
	state, err := s.state(ctx, from, to)
	if err != nil {
		return err
	}
	for state.KEMRekeys > len(t.rekeys) {
		t.rekeys = append(t.rekeys, i+1)
		s.say("      -- post-quantum rekey %d is complete --", len(t.rekeys))
	}
	return nil
}

// summary says what happened, in a few lines.
func (s *stage) summary(t tally, state client.DeviceSession) {
	total := 0
	for _, n := range t.sizes {
		total += n
	}
	slices.Sort(t.sizes)
	s.say("")
	s.say("%d messages, each arrived once and unchanged, in %.1f s", len(t.sizes), time.Since(t.began).Seconds())
	s.say("bytes on the wire: half of the messages at most %d, the largest %d, %d in all", t.sizes[len(t.sizes)/2], t.sizes[len(t.sizes)-1], total)
	s.say("post-quantum rekeys: %d, complete after messages %v", len(t.rekeys), t.rekeys)
	s.say("%s", brief(state))
	s.say("removing %s", s.folder)
}
