package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/visible"
)

// reading is the flags of read and the conversation it is limited to.
type reading struct {
	filter client.Filter
	wait   time.Duration
	follow bool
	json   bool
	sent   bool

	removed bool // this device is off the account: there is nothing new to come
}

func newRead(a *app) *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use:     "read [@NAME]",
		GroupID: groupTalk,
		Short:   "Fetch and show new messages",
		Long: `Fetch messages and show those that were not shown before. Delivery receipts
go out to contacts before the command ends. Nothing new is no failure: there is
no output, also when the time of --wait has run out.

If the server is out of reach, what is stored here is shown and the exit code
is 3. A device that was removed from its account shows it too, with exit code 0;
nothing new comes to it, so that --wait and --follow end with 4. Control
characters in a text are shown as escapes such as \x1b; with --json a parser gets
every text back byte for byte.`,
		Example: `  posthorn read
  posthorn read @bob --wait 10s
  posthorn read --follow --json
  posthorn read @bob --all --sent`,
		Args: arguments(0, 1, "one @NAME at most"),
	}
	flags := cmd.Flags()
	flags.DurationVar(&r.wait, "wait", 0, "if there is nothing new, wait this `time` for a message")
	flags.BoolVar(&r.follow, "follow", false, "stay and show messages as they come, until Ctrl-C (or as long as --wait says)")
	flags.BoolVar(&r.json, "json", false, "one JSON object a line")
	flags.BoolVar(&r.filter.All, "all", false, "also messages that were shown before")
	flags.BoolVar(&r.sent, "sent", false, "with --all, also your own messages")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.read(cmd, r, args) }
	return cmd
}

func (a *app) read(cmd *cobra.Command, r reading, args []string) (err error) {
	if len(args) > 0 {
		if r.filter.From, err = parsePeer(args[0]); err != nil {
			return err
		}
	}
	if r.wait < 0 {
		return usagef(cmd, "--wait must not be negative")
	}
	if r.sent && !r.filter.All {
		return usagef(cmd, "--sent needs --all")
	}
	return a.withProfile(cmd.Context(), func(c *client.Client) error {
		return a.readFrom(cmd.Context(), c, r)
	})
}

// readFrom shows what is there, and stays if it was asked to.
func (a *app) readFrom(ctx context.Context, c *client.Client, r reading) error {
	synced := c.Sync(ctx)
	r.removed = errors.Is(synced, client.ErrRemoved)
	shown, err := a.show(ctx, c, r)
	if err != nil {
		return err
	}
	r.filter.All = false
	waits := r.follow || shown == 0 && r.wait > 0
	switch {
	case ctx.Err() != nil:
		return synced
	case r.removed && !waits:
		a.sayRemoved()
		return nil
	case r.follow && (synced == nil || errors.Is(synced, client.ErrOffline)):
		return a.follow(ctx, c, r, synced)
	case synced == nil && shown == 0 && r.wait > 0:
		return a.await(ctx, c, r)
	}
	return synced
}

// await stays connected until a message comes or the time is over.
func (a *app) await(ctx context.Context, c *client.Client, r reading) error {
	return a.stay(ctx, c, r.wait, func() (done bool, err error) {
		shown, err := a.show(ctx, c, r)
		return shown > 0, err
	})
}

// follow shows messages as they come, until an interrupt, which is how it is
// meant to end.
func (a *app) follow(ctx context.Context, c *client.Client, r reading, synced error) error {
	if synced != nil {
		a.say("note", "the server cannot be reached; trying again until it can")
	}
	return a.stay(ctx, c, r.wait, func() (bool, error) {
		_, err := a.show(context.WithoutCancel(ctx), c, r)
		return false, err
	})
}

// stay keeps the connection and calls look after every arrival, until look is
// done, limit has passed (0: none) or ctx ends. What the user must be told is
// told at once: a code to compare is good for ten minutes, an alarm is an alarm.
// Receipts for what came in leave before it returns.
func (a *app) stay(ctx context.Context, c *client.Client, limit time.Duration, look func() (done bool, err error)) error {
	online, cancel := context.WithCancel(ctx)
	if limit > 0 {
		online, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(online) }()
	done, err := look()
	for err == nil && !done {
		change := c.Changed()
		if err = a.notices(ctx, c); err != nil {
			break
		}
		select {
		case <-c.Arrived():
			done, err = look()
		case <-change:
		case err = <-ended:
			return errors.Join(err, refresh(context.WithoutCancel(ctx), c))
		}
	}
	cancel()
	return errors.Join(err, <-ended, refresh(context.WithoutCancel(ctx), c))
}

// batch is how many messages are written before they are noted as shown, in
// one transaction.
const batch = 50

// show prints the selected messages and notes that they were shown. It notes a
// message only after it was written, so that a broken pipe loses none.
func (a *app) show(ctx context.Context, c *client.Client, r reading) (shown int, err error) {
	messages, err := c.Inbox(ctx, r.filter)
	if errors.Is(err, client.ErrUnknownName) {
		return 0, find(ctx, c, r.filter.From) // nobody, or nothing from them yet
	}
	if err != nil {
		return 0, err
	}
	writers := map[account.Name]bool{}
	for some := range slices.Chunk(messages, batch) {
		var ids []content.ID
		for _, m := range some {
			if m.Outgoing && !r.sent {
				continue
			}
			if err := a.printMessage(r, m); err != nil {
				return shown, fmt.Errorf("%w (%w)", errOutput, err)
			}
			ids = append(ids, m.ID)
			writers[m.From] = true
			shown++
		}
		if err := c.MarkShown(ctx, ids...); err != nil {
			return shown, err
		}
	}
	if r.removed {
		return shown, nil
	}
	return shown, a.noteStrangers(ctx, c, writers)
}

// messageJSON is what read --json prints for each message.
type messageJSON struct {
	Schema       string `json:"schema"`
	ID           string `json:"id"`
	Conversation string `json:"conversation"`
	From         string `json:"from"`
	Text         string `json:"text"`
	SentAt       moment `json:"sent_at"`
	ReceivedAt   moment `json:"received_at"`
	Level        string `json:"level"`

	Attachments []attachmentJSON `json:"attachments,omitempty"`
	Removed     bool             `json:"device_removed,omitempty"` // true: the device that says this is off its account
}

func (a *app) printMessage(r reading, m client.Message) error {
	if r.json {
		return a.printJSON(messageJSON{
			Schema: "posthorn.message/1", ID: m.ID.String(),
			Conversation: string(m.Conversation), From: string(m.From), Text: m.Text,
			SentAt: moment(m.SentAt), ReceivedAt: moment(m.ReceivedAt), Level: m.Level, Attachments: attachmentsJSON(m.Attachments), Removed: r.removed,
		})
	}
	text := visible.Block(strings.TrimRight(m.Text, "\n"), "    ")
	if m.Text != "" {
		text = " " + text
	}
	_, err := fmt.Fprintf(a.stdout, "%s @%s:%s\n", clock(m.SentAt), m.From, text)
	return errors.Join(err, a.printAttachments(m.Attachments))
}
