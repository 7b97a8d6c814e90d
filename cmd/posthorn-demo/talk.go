package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/visible"
	"github.com/posthorn/posthorn/pq3"
)

// conversation is the state of a typed conversation.
type conversation struct {
	*stage
	speaker int // index into people
	rekeys  int // as last shown
}

// talk passes typed lines between Alice and Bob until /quit, Ctrl-D or Ctrl-C.
func talk(ctx context.Context, s *stage) error {
	s.say("A server, Alice and Bob run in this process, on loopback only. Type a line: it")
	s.say("goes end-to-end encrypted to the other, who then has the word. A PQ rekey renews")
	s.say("the post-quantum keys, every 50 messages or every day.")
	s.say("  /alice  /bob  choose who speaks       /status  show the keys in full")
	s.say("  /quit         or Ctrl-C: end, and remove %s", s.folder)
	s.say("Here %s.", s.proof)
	s.say("Next: an account of your own, with 'posthorn register NAME --server URL'.")
	s.say("")
	c := &conversation{stage: s}
	lines := typed(os.Stdin)
	for {
		fmt.Fprintf(s.out, "%s> ", s.people[c.speaker].name)
		select {
		case <-ctx.Done():
			s.say("")
			return c.end()
		case line, open := <-lines:
			if !open || line == "/quit" {
				return c.end()
			}
			if err := c.hear(ctx, line); err != nil {
				return err
			}
		}
	}
}

// typed reads lines on a goroutine that ends with the process.
func typed(in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, 2*content.MaxText)
		for scanner.Scan() {
			lines <- strings.TrimSuffix(scanner.Text(), "\r")
		}
	}()
	return lines
}

func (c *conversation) end() error {
	c.say("Ended; %s is removed.", c.folder)
	return nil
}

// hear acts on one typed line.
func (c *conversation) hear(ctx context.Context, line string) error {
	switch line {
	case "":
		return nil
	case "/alice":
		c.speaker = 0
		return nil
	case "/bob":
		c.speaker = 1
		return nil
	case "/status":
		return c.full(ctx)
	}
	if strings.HasPrefix(line, "/") {
		c.say("  no such command; there are /alice /bob /status /quit")
		return nil
	}
	return c.speak(ctx, line)
}

func (c *conversation) speak(ctx context.Context, line string) error {
	from, to := c.people[c.speaker], c.people[1-c.speaker]
	message, err := c.pass(ctx, from, to, line)
	if errors.Is(err, content.ErrTextTooLong) || errors.Is(err, content.ErrText) {
		c.say("  not sent: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	c.say("  %s reads: %s  (%d bytes on the wire)", to.name, visible.Block(message.Text, "    "), message.WireSize)
	state, err := c.state(ctx, from, to)
	if err != nil {
		return err
	}
	if state.KEMRekeys > c.rekeys {
		c.rekeys = state.KEMRekeys
		c.say("  PQ rekey complete: keys stolen before it open nothing from here on")
	}
	c.say("  %s", brief(state))
	c.speaker = 1 - c.speaker
	return nil
}

// brief is the status line under every message, short enough for 80 columns.
func brief(d client.DeviceSession) string {
	return fmt.Sprintf("level %s · epoch %d · %s since the PQ rekey · next %s",
		d.Level, d.Epoch, counted(d.MessagesSinceRekey), due(d))
}

func counted(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// due says when the next rekey comes, by count and by time.
func due(d client.DeviceSession) string {
	left := pq3.DefaultPolicy().EveryMessages - d.MessagesSinceRekey
	if left <= 0 {
		return "due now"
	}
	if d.RekeyDueAt == nil {
		return fmt.Sprintf("in %d", left)
	}
	return fmt.Sprintf("in %d or by %s", left, d.RekeyDueAt.Local().Format("2 Jan 15:04"))
}

// full shows the session as both people see it.
func (c *conversation) full(ctx context.Context) error {
	for i, p := range c.people {
		state, err := c.state(ctx, p, c.people[1-i])
		if err != nil && !errors.Is(err, client.ErrUnknownName) {
			return err
		}
		if state.Level == "" {
			c.say("  %s: no session yet; the first message starts one", p.name)
			continue
		}
		c.say("  %s: suite %s · session %s · %d post-quantum rekeys", p.name, state.Suite, state.Session, state.KEMRekeys)
		c.say("  %s  %s", strings.Repeat(" ", len(p.name)), brief(state))
	}
	return nil
}
