package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/content"
)

// stage is the whole scene: where it lies, the people, and where lines go.
type stage struct {
	out    io.Writer
	folder string
	people [2]*actor
	proof  string // what the log has shown of their keys, in a line
}

// actor is one person with a client of their own.
type actor struct {
	*client.Client
	name account.Name
}

// onStage sets the scene, lets play run, and removes everything again, also
// after a failure or an interrupt.
func onStage(ctx context.Context, out io.Writer, play func(context.Context, *stage) error) (err error) {
	folder, err := os.MkdirTemp("", "posthorn-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	house, err := openServer(ctx, filepath.Join(folder, "server"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, house.close()) }()
	s := &stage{out: out, folder: folder}
	defer func() { err = errors.Join(err, s.leave()) }()
	for i, name := range []account.Name{"alice", "bob"} {
		if s.people[i], err = s.enter(ctx, name, house.url); err != nil {
			return err
		}
	}
	if s.proof, err = s.prove(ctx); err != nil {
		return err
	}
	return s.online(ctx, play)
}

// prove lets each look the other up, checking the answer against the server's
// transparency log, and says what the second one saw of it.
func (s *stage) prove(ctx context.Context) (string, error) {
	var seen client.LogView
	for i, p := range s.people {
		var err error
		seen, err = p.CheckName(ctx, s.people[1-i].name)
		if errors.Is(err, client.ErrNoLog) {
			return "this system keeps no transparency log, so the keys were taken on trust at first contact", nil
		}
		if err != nil {
			return "", fmt.Errorf("%s looks the other up: %w", p.name, err)
		}
	}
	return fmt.Sprintf("both keys are proved by the server's transparency log: %d entries, root %x…", seen.Size, seen.Root[:8]), nil
}

// enter registers one person. The passphrase is random and known to nobody: the
// profile ends with this process.
func (s *stage) enter(ctx context.Context, name account.Name, url string) (*actor, error) {
	cfg := client.Config{
		Home:       filepath.Join(s.folder, string(name)),
		Passphrase: func(bool) ([]byte, error) { return []byte(rand.Text()), nil },
	}
	c, err := client.Register(ctx, cfg, name, url)
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", name, err)
	}
	return &actor{Client: c, name: name}, nil
}

// leave closes the profiles of those who are there.
func (s *stage) leave() (err error) {
	for _, p := range s.people {
		if p != nil {
			err = errors.Join(err, p.Close())
		}
	}
	return err
}

// online keeps both connected while play runs.
func (s *stage) online(ctx context.Context, play func(context.Context, *stage) error) error {
	connected, cancel := context.WithCancel(ctx)
	var lines sync.WaitGroup
	for _, p := range s.people {
		lines.Go(func() { _ = p.Run(connected) }) // a broken line shows as a message that does not arrive
	}
	err := play(ctx, s)
	cancel()
	lines.Wait()
	return err
}

// arrivalLimit is how long a message may take before something is wrong.
const arrivalLimit = 20 * time.Second

// pass sends a text from one person to the other and returns it as it arrived.
func (s *stage) pass(ctx context.Context, from, to *actor, text string) (client.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, arrivalLimit)
	defer cancel()
	sent, err := from.Send(ctx, to.name, text)
	if err != nil {
		return client.Message{}, err
	}
	for {
		message, err := to.take(ctx, sent.ID)
		if err != nil || message.ID == sent.ID {
			return message, err
		}
		select {
		case <-to.Arrived():
		case <-ctx.Done():
			return client.Message{}, ctx.Err()
		}
	}
}

// take reads what is new and returns the message with that id, if it is there.
func (p *actor) take(ctx context.Context, id content.ID) (found client.Message, err error) {
	messages, err := p.Inbox(ctx, client.Filter{})
	if err != nil {
		return found, err
	}
	for _, m := range messages {
		if m.ID == id {
			found = m
		}
		if err := p.MarkShown(ctx, m.ID); err != nil {
			return found, err
		}
	}
	return found, nil
}

// state is how one person sees the session with the other.
func (s *stage) state(ctx context.Context, of, with *actor) (client.DeviceSession, error) {
	conversation, err := of.Sessions(ctx, with.name)
	if err != nil || len(conversation.Devices) == 0 {
		return client.DeviceSession{}, err
	}
	return conversation.Devices[0], nil
}

func (s *stage) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }
